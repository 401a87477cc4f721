"""Programs as users of today's skynet write them (test/service/users), with public names only, and
their clients: a watchdog with agents, a gate of one's own, echo, chat, UDP, channels."""

import socket
import struct
import threading

from harness import (
    Node,
    case,
    connect,
    frame,
    free_port,
    main,
    recv_exactly,
    recv_frame,
    send_frame,
    wait_closed,
    wait_until,
)

LARGEST = 65535


class Program(Node):
    """A node that runs one of the programs. ready: what it logs then; None: nothing."""

    def __init__(self, name, ready=r"\] ready$", port=None, **settings):
        self.port = port or free_port()
        super().__init__(
            start=name,
            port=self.port,
            luaservice="./service/?.lua;./test/service/users/?.lua",
            **settings,
        )
        if ready:
            self.wait_log(ready)

    def connect(self):
        return connect(self.port)


class LineReader:
    """Lines of a connection."""

    def __init__(self, connection, end=b"\n"):
        self.connection = connection
        self.end = end
        self.bytes = b""

    def line(self):
        while self.end not in self.bytes:
            piece = self.connection.recv(65536)
            assert piece, f"the stream has ended behind {self.bytes}"
            self.bytes += piece
        line, self.bytes = self.bytes.split(self.end, 1)
        return line


def watchdog():
    return Program("watchdog", r"Watchdog listen on 0\.0\.0\.0:\d+")


def ask(connection, request):
    send_frame(connection, request)
    return recv_frame(connection)


# --- watchdog, gate, agents ------------------------------------------------------------------


@case
def an_agent_answers_its_client():
    with watchdog() as node:
        clients = [node.connect() for _ in range(8)]
        for client in clients:
            assert recv_frame(client) == b"Welcome"
        for i, client in enumerate(clients):
            assert ask(client, f"echo {i}") == b"%d" % i
            assert ask(client, "") == b"unknown 0"
            text = b"x" * (LARGEST - len("echo "))
            assert ask(client, b"echo " + text) == text
        for client in clients:
            client.close()
        for _ in clients:
            node.wait_log("agent has ended")


@case
def requests_are_handled_beside_each_other():
    with watchdog() as node:
        client = node.connect()
        recv_frame(client)
        for request in ("later 1", "fail", "echo 2"):
            send_frame(client, request)
        assert recv_frame(client) == b"2"
        assert recv_frame(client) == b"1"
        node.wait_log("it has failed")


@case
def a_client_that_quits_is_kicked_and_one_that_leaves_is_forgotten():
    with watchdog() as node:
        base = node.fd_count()
        client = node.connect()
        recv_frame(client)
        send_frame(client, "quit")
        assert wait_closed(client) == b""
        node.wait_log("agent has ended")
        client = node.connect()
        recv_frame(client)
        client.sendall(struct.pack(">H", 100) + b"half a packet")
        client.close()
        node.wait_log("socket (close|error) ")
        node.wait_log("agent has ended")
        node.wait_fds(base)


@case
def a_client_that_ends_its_stream_gets_whole_answers_or_none():
    # This watchdog kicks at once, as they did of old, so it may be faster than the agent.
    with watchdog() as node:
        base = node.fd_count()
        client = node.connect()
        recv_frame(client)
        send_frame(client, "echo last words")
        client.shutdown(socket.SHUT_WR)
        assert wait_closed(client) in (b"", frame(b"last words"))
        node.wait_log("agent has ended")
        client.close()
        node.wait_fds(base)


@case
def agents_come_and_go_with_their_clients():
    with watchdog() as node:
        base = node.fd_count()
        for round_number in range(20):
            clients = [node.connect() for _ in range(8)]
            for client in clients:
                assert recv_frame(client) == b"Welcome"
                send_frame(client, "echo x")
            for client in clients[round_number % 3 :]:
                assert recv_frame(client) == b"x"
            for client in clients:
                client.close()
            wait_until(
                lambda count=8 * (round_number + 1): node.text().count("agent has ended") == count,
                "all agents of the round have ended",
            )
        node.wait_fds(base)


# --- a gate of one's own ---------------------------------------------------------------------


@case
def a_gate_of_ones_own_has_its_packets():
    with Program("mygate_main") as node:
        base = node.fd_count()
        clients = [node.connect() for _ in range(10)]
        for client in clients:
            assert ask(client, "hello") == b"hello"
            assert ask(client, b"y" * LARGEST) == b"y" * LARGEST
        send_frame(clients[0], "broadcast to all")
        for client in clients:
            assert recv_frame(client) == b"to all"
        assert ask(clients[0], "bye") == b"bye"
        assert wait_closed(clients[0]) == b""
        for client in clients[1:]:
            client.close()
        for _ in clients:
            node.wait_log("disconnect true")
        node.wait_fds(base)


@case
def a_gate_of_ones_own_passes_packets_on_to_agents():
    with Program("mygate_main") as node:
        base = node.fd_count()
        clients = [node.connect() for _ in range(10)]
        for client in clients:
            assert ask(client, "enter") == b"Welcome"
            for request in ("later 1", "echo 2", "bye", "", "echo " + "z" * 60000):
                send_frame(client, request)
            for answer in (b"2", b"1", b"unknown 3", b"unknown 0", b"z" * 60000):
                assert recv_frame(client) == answer
        for client in clients:
            client.close()
        for _ in clients:
            node.wait_log("agent has ended")
        node.wait_fds(base)


# --- skynet.socket ---------------------------------------------------------------------------


@case
def a_connection_is_handed_to_another_service():
    with Program("echo") as node:
        base = node.fd_count()
        readers = [LineReader(node.connect()) for _ in range(20)]
        for reader in readers:
            assert reader.line() == b"Hello Skynet"
            assert reader.line() == b"ready"
        for i, reader in enumerate(readers):
            reader.connection.sendall(b"number %d\n" % i)
            assert reader.line() == b"number %d" % i
        large = bytes(range(256)) * 4096
        sender = threading.Thread(target=readers[0].connection.sendall, args=(large,))
        sender.start()
        assert recv_exactly(readers[0].connection, len(large)) == large
        sender.join()
        for reader in readers:
            reader.connection.close()
        for _ in readers:
            node.wait_log("echo has ended")
        node.wait_fds(base)


@case
def people_chat():
    with Program("chat") as node:
        base = node.fd_count()
        ann, bob, eve = (LineReader(node.connect(), b"\r\n") for _ in range(3))
        ann.connection.sendall(b"ann\r\n")
        assert ann.line() == b"ann comes"
        bob.connection.sendall(b"bob\r\nhello\r\n\r\n")
        for reader in (ann, bob):
            assert reader.line() == b"bob comes"
            assert reader.line() == b"bob: hello"
            assert reader.line() == b"bob: "
        eve.connection.sendall(b"ann\r\n")
        assert eve.line() == b"the name is taken"
        assert wait_closed(eve.connection) == b""
        for byte in b"slowly\r\n":
            ann.connection.send(bytes([byte]))
        assert bob.line() == b"ann: slowly"
        ann.connection.close()
        assert bob.line() == b"ann goes"
        bob.connection.close()
        node.wait_fds(base)


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
            return True
    except OSError:
        return False


@case
def datagrams_are_answered_over_both_families():
    families = {"127.0.0.1": socket.AF_INET}
    ports = {"127.0.0.1": None}
    settings = {}
    if has_ipv6():
        families["::1"] = socket.AF_INET6
        ports["::1"] = settings["port6"] = free_port()
    with Program("udp", **settings) as node:
        ports["127.0.0.1"] = node.port
        for ip, family in families.items():
            for i in range(1, 4):
                wait_until(
                    lambda text=f"client recv {ip} OK hello {i}": text in node.text(), "the answer"
                )
            with socket.socket(family, socket.SOCK_DGRAM) as peer:
                peer.settimeout(15)
                for data in (b"hello", b"", b"x" * 20000):
                    peer.sendto(data, (ip, ports[ip]))
                    assert peer.recvfrom(LARGEST)[0] == b"OK " + data


# --- clients ---------------------------------------------------------------------------------


class Server:
    """A server of the test's own, which runs talk(connection) for one connection after another."""

    def __init__(self, port, talk, count):
        self.listener = socket.create_server(("127.0.0.1", port))
        self.listener.settimeout(15)
        self.problem = None
        self.thread = threading.Thread(target=self._run, args=(talk, count))
        self.thread.start()

    def _run(self, talk, count):
        try:
            for _ in range(count):
                connection, _address = self.listener.accept()
                with connection:
                    connection.settimeout(15)
                    talk(connection)
        except (OSError, AssertionError) as problem:
            self.problem = problem
        finally:
            self.listener.close()

    def join(self):
        self.thread.join()
        if self.problem:
            raise AssertionError(f"in the server: {self.problem!r}")


def answer_lines(connection):
    """What pipeline.lua talks to. Ends with the connection, or at CLOSE."""
    reader = LineReader(connection, b"\r\n")
    assert reader.line() == b"AUTH secret"
    connection.sendall(b"+OK\r\n")
    while True:
        try:
            command, _, text = reader.line().partition(b" ")
        except AssertionError:
            return
        if command == b"CLOSE":
            return
        if command == b"BULK":
            connection.sendall(b"$%d\r\n" % len(text))
            connection.sendall(text + b"\r\n")
        else:
            connection.sendall((b"+" if command == b"ECHO" else b"-") + text + b"\r\n")


@case
def requests_are_pipelined_and_a_lost_connection_is_made_anew():
    port = free_port()
    server = Server(port, answer_lines, 2)
    with Program("pipeline", None, port) as node:
        for text in ("connected", "all answered", "again"):
            node.wait_log(rf"\] {text}$")
        server.join()


@case
def a_client_connects_again_and_again():
    port = free_port()
    with Program("reconnect", None, port) as node:
        node.wait_log("connect failed: .*refused")

        def talk(connection):
            reader = LineReader(connection)
            assert reader.line() == b"hello"
            connection.sendall(b"abc\ndef\n")
            assert reader.line() == b"cba"
            assert reader.line() == b"fed"

        for _ in range(3):
            server = Server(port, talk, 2)
            server.join()
            node.wait_log("connection lost")
            node.wait_log("connection lost")
            node.wait_log("connect failed")


main()
