"""The example server and its client program, as a newcomer runs them."""

import os
import pty
import random
import re
import select
import socket
import subprocess
import threading
import time

from harness import (
    BUILD,
    CLIENT,
    DEADLINE_S,
    ROOT,
    SANITIZERS,
    SKYNET,
    Process,
    case,
    connect,
    frame,
    free_port,
    main,
    recv_frame,
    run,
    send_frame,
    wait_closed,
    wait_until,
)

GREETING = "Welcome to skynet"
# Under a sanitizer a Lua service takes a hundred times as long to start.
STORM_CLIENTS = 30 if SANITIZERS else 300


class Example(Process):
    """The example server, on a port of its own."""

    def __init__(self, **settings):
        self.port = free_port()
        settings = {
            "gate_port": f"127.0.0.1:{self.port}",
            "cpath": f"{BUILD}/cservice/?.so",
            "lua_cpath": f"{BUILD}/luaclib/?.so",
            **settings,
        }
        words = [f"--set={key}={value}" for key, value in settings.items()]
        super().__init__(SKYNET, "examples/config.lua", *words, stdin=subprocess.DEVNULL)
        self.wait_log("LAUNCH gate")

    def ask(self, text, status=0):
        """Runs the client with text as its input. Returns the lines it printed."""
        done = run(CLIENT, "127.0.0.1", self.port, stdin=text, status=status)
        return done.text().splitlines()

    def count(self, pattern):
        return len(re.findall(pattern, self.text(), re.MULTILINE))

    def present(self):
        """The clients that are connected, as far as the log tells."""
        connected, left = (
            set(re.findall(rf"Client (\d+) {what}", self.text())) for what in ("connected", "left")
        )
        return connected - left

    def wait_all_left(self):
        """Waits until every client's agent and client service have ended."""
        # The line of one more client is behind those of all others, which may be still to come.
        with connect(self.port) as last:
            self.wait_log(rf"Client \d+ connected from 127.0.0.1:{last.getsockname()[1]}$")
        try:
            wait_until(lambda: not self.present(), "all clients have left")
        except AssertionError as error:
            raise AssertionError(f"{error}: not {', '.join(sorted(self.present()))}") from None
        agents = self.count("LAUNCH snlua agent")
        # main and bootstrap end themselves, too.
        wait_until(lambda: self.count("KILL self") == agents + 2, "all agents have ended")
        assert self.count("LAUNCH client") == self.count(r"\] KILL :"), self.text()


# --- the dialogue ----------------------------------------------------------------------------


@case
def a_client_gets_what_it_set():
    with Example() as server:
        assert server.ask("set hello world\nget hello\n") == [GREETING, "world"]
        # Another client, later; and the former value of a second set.
        assert server.ask("get hello\nset hello you\nget hello\n") == [
            GREETING,
            "world",
            "world",
            "you",
        ]
        server.wait_all_left()


@case
def commands_are_read_kindly_and_errors_named():
    with Example() as server:
        lines = server.ask("SET A b c  d\nGet A\nget a\nfoo\nget\nset A\n\nget A B\r\nget A")
        assert lines == [
            GREETING,
            "b c  d",
            "Invalid command : foo",
            "Invalid command : get",
            "Invalid command : set A",
            "Invalid command : get A B",
            "b c  d",
        ], lines


@case
def answers_keep_the_order_of_questions():
    with Example() as server:
        questions, answers = [], [GREETING]
        for number in range(5000):
            questions.append(f"set k{number % 7} v{number}" if number % 3 else f"what {number}")
            if number % 3 == 0:
                answers.append(f"Invalid command : what {number}")
            else:
                recent = range(max(0, number - 21), number)
                former = [n for n in recent if n % 3 and n % 7 == number % 7]
                answers += [f"v{former[-1]}"] if former else []
        assert server.ask("\n".join(questions) + "\n") == answers


@case
def an_input_far_larger_than_any_buffer_goes_through():
    with Example() as server:
        value = "x" * 50000
        lines = server.ask(f"set big {value}\n" + "get big\n" * 400)
        assert lines == [GREETING] + [value] * 400


@case
def many_clients_at_once_and_nothing_left_of_them():
    with Example() as server:
        server.ask("set warm up\n")
        server.wait_all_left()
        fds = server.fd_count()
        problems = []

        def one(number):
            try:
                text = f"set mine{number} {number}\n" + f"get mine{number}\n" * 50
                lines = server.ask(text)
                if lines != [GREETING] + [str(number)] * 50:
                    problems.append(lines)
            except AssertionError as error:
                problems.append(error)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not problems, f"{problems}; the server printed:\n{server.text()}"
        server.wait_all_left()
        server.wait_fds(fds)


@case
def clients_that_leave_before_their_agent_is_there_leave_nothing():
    with Example() as server:
        fds = server.fd_count()
        chance = random.Random(5)
        for _ in range(STORM_CLIENTS):
            client = connect(server.port)
            how = chance.randrange(4)
            if how == 1:
                client.sendall(frame("get x") * chance.randrange(300))
            elif how == 2:
                client.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                )  # close: reset
            elif how == 3:
                client.shutdown(socket.SHUT_WR)
            client.close()
        lines = server.ask("set still here\nget still\n")
        assert lines == [GREETING, "here"], f"{lines}; the server printed:\n{server.text()}"
        server.wait_all_left()
        server.wait_fds(fds)


@case
def a_client_that_asks_without_reading_costs_a_bounded_amount():
    with Example() as server:
        server.ask("set big " + "x" * 60000 + "\n")
        before = server.rss_kb()
        client = connect(server.port)
        client.setblocking(False)
        other = connect(server.port)
        assert recv_frame(other) == GREETING.encode()
        data = frame("get big") * 1000
        refusals, sent = 0, 0
        while refusals < 200 and sent < 50_000_000:
            try:
                sent += client.send(data[sent % len(data) :])
                refusals = 0
            except BlockingIOError:
                refusals += 1
                send_frame(other, "get nothing")  # others are served meanwhile
                assert recv_frame(other) == b""
        assert refusals >= 200, f"{sent} bytes of questions were taken"
        grown = server.rss_kb() - before
        assert grown < 256 * 1024, f"{grown} KiB more"
        client.close()
        other.close()
        server.wait_all_left()


@case
def the_server_ends_in_order_with_clients_connected():
    with Example() as server:
        client = connect(server.port)
        assert recv_frame(client) == GREETING.encode()
        server.stop()
        wait_closed(client)


@case
def a_port_in_use_is_named():
    with Example() as server:
        second = Process(
            SKYNET,
            "examples/config.lua",
            f"--set=gate_port=127.0.0.1:{server.port}",
            f"--set=cpath={BUILD}/cservice/?.so",
            f"--set=lua_cpath={BUILD}/luaclib/?.so",
            stdin=subprocess.DEVNULL,
        )
        second.expect_status(0, 1)
        second.wait_log(f"127.0.0.1:{server.port}: Address already in use")
        second.wait_log(f"Server stops: .*127.0.0.1:{server.port}.*gate_port")
        second.wait()


# --- the client program ----------------------------------------------------------------------


@case
def a_refused_connection_is_told():
    port = free_port()
    done = run(CLIENT, "127.0.0.1", port, status=1)
    assert f"cannot connect to 127.0.0.1 port {port}: Connection refused" in done.error_text()
    done = run(CLIENT, "127.0.0.1", "no-port", status=1)
    assert "no address for 127.0.0.1 port no-port" in done.error_text()
    assert "usage: client [HOST [PORT]]" in run(CLIENT, "--help", status=2).error_text()
    assert "usage: client [HOST [PORT]]" in run(CLIENT, "a", "b", "c", status=2).error_text()


@case
def a_line_too_long_is_told_and_the_rest_sent():
    with Example() as server:
        text = "set a 1\n" + "x" * 65536 + "\n" + "y" * 300000 + "\nget a\n"
        lines = server.ask(text, status=1)
        told = [line for line in lines if line.startswith("client: ")]
        assert sorted(told) == [
            f"client: line {n} is too long: a frame holds at most 65535 bytes; not sent"
            for n in (2, 3)
        ], told
        assert [line for line in lines if line not in told] == [GREETING, "1"]


class OddServer:
    """Accepts one client, and behaves as the case wants."""

    def __init__(self, behave):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(DEADLINE_S)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, args=(behave,), daemon=True)
        self.thread.start()

    def _serve(self, behave):
        client, _ = self.listener.accept()
        with client:
            client.settimeout(DEADLINE_S)
            behave(client)
        self.listener.close()

    def ask(self, text, status):
        done = run(CLIENT, "127.0.0.1", self.port, stdin=text, status=status)
        self.thread.join(DEADLINE_S)
        return done


@case
def frames_are_printed_however_they_come():
    def behave(client):
        for byte in frame("one") + frame("") + frame("two\nlines"):
            client.sendall(bytes([byte]))
        wait_closed(client)

    assert OddServer(behave).ask("x\n", 0).text() == "one\ntwo\nlines"


@case
def a_server_that_leaves_early_is_told():
    def leave(client):
        client.recv(1)

    def leave_in_a_frame(client):
        wait_closed(client)
        client.sendall(b"\0\5he")

    process = Process(CLIENT, "127.0.0.1", OddServer(lambda client: None).port)
    process.expect_status(1)
    process.wait()
    assert "client: the server closed the connection" in process.error_text()
    process.close()
    done = OddServer(leave).ask("line\n" * 2_000_000, 1)
    assert "client: " in done.error_text(), done.text()
    done = OddServer(leave_in_a_frame).ask("x\n", 1)
    assert "in the middle of a frame" in done.error_text()


class Terminal:
    """The client on a terminal of its own."""

    def __init__(self, port):
        self.master, slave = pty.openpty()
        env = dict(os.environ, TERM="xterm", LC_ALL="C.UTF-8")
        self.process = subprocess.Popen(
            [CLIENT, "127.0.0.1", str(port)], cwd=ROOT, env=env, stdin=slave, stdout=slave,
            stderr=slave, start_new_session=True,
        )
        os.close(slave)
        self.seen = ""

    def wait_for(self, pattern):
        """Reads until the pattern is found in what has not been waited for yet."""
        deadline = time.monotonic() + DEADLINE_S
        while not re.search(pattern, self.seen):
            ready, _, _ = select.select([self.master], [], [], deadline - time.monotonic())
            assert ready, f"not seen /{pattern}/ in {self.seen!r}"
            try:
                data = os.read(self.master, 4096)
            except OSError:  # the other side is closed
                data = b""
            assert data, f"the terminal was closed before /{pattern}/: {self.seen!r}"
            self.seen += data.decode("utf-8", "replace")
        self.seen = self.seen[re.search(pattern, self.seen).end() :]

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self):
        try:
            return self.process.wait(DEADLINE_S)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self.master)


@case
def on_a_terminal_lines_are_edited():
    with Example() as server:
        terminal = Terminal(server.port)
        try:
            terminal.wait_for(GREETING)
            terminal.wait_for("> ")
            terminal.type("set hello wXrld\x1b[D\x1b[D\x1b[D\x1b[D\x1b[3~o\r")
            terminal.type("get hello\r")
            terminal.wait_for(r"\x1b\[Kworld\r")
            terminal.type("\x1b[A\r")  # the line before, again
            terminal.wait_for(r"\x1b\[Kworld\r")
            terminal.type("set ü é\rget ü\r")
            terminal.wait_for(r"\x1b\[Ké\r")
            terminal.type("\x04")
        finally:
            status = terminal.end()
        assert status == 0, status
        server.wait_all_left()


@case
def on_a_terminal_the_end_of_the_server_is_told():
    with Example() as server:
        terminal = Terminal(server.port)
        try:
            terminal.wait_for(GREETING)
            terminal.type("half a line")
            terminal.wait_for("half a line")
            server.stop()
            terminal.wait_for("client: the server closed the connection")
        finally:
            status = terminal.end()
        assert status == 1, status


main()
