"""The login example, as its users run it: the servers in a node, the client in the stock Lua."""

import re
import subprocess

from harness import BUILD, SKYNET, Process, case, connect, free_port, main, wait_closed
from lua_program import LuaProgram


class Example(Process):
    """The login server and the game server, on ports of their own."""

    def __init__(self):
        self.login_port, self.game_port = free_port(), free_port()
        settings = {
            "login_port": self.login_port,
            "game_port": self.game_port,
            "cpath": f"{BUILD}/cservice/?.so",
            "lua_cpath": f"{BUILD}/luaclib/?.so",
        }
        words = [f"--set={key}={value}" for key, value in settings.items()]
        super().__init__(SKYNET, "examples/login/config.lua", *words, stdin=subprocess.DEVNULL)
        self.wait_log("Clients are welcome")

    def start_client(self, *words):
        ports = [self.login_port, self.game_port]
        return LuaProgram("examples/login/client.lua", "127.0.0.1", *ports, *words)

    def client(self, *words, status=0):
        """Runs the client to its end. Returns the lines that it prints."""
        with self.start_client(*words) as client:
            client.expect_status(status)
            client.wait()
            return client.output.all()


def dialogue(subid):
    """What the client prints, behind its secret."""
    return [
        rf"200 {subid}",
        r"login ok, subid=\t\d+",
        r"connect",
        r"200 OK",
        r"===>\techo\t0",
        r"disconnect",
        r"connect again",
        r"200 OK",
        r"===>\tfake\t0",
        r"===>\tagain\t1",
        r"<===\ttrue\techo\t0",
        r"<===\ttrue\tagain\t1",
        r"disconnect",
    ]


def check_lines(lines, patterns):
    assert len(lines) == len(patterns), lines
    for line, pattern in zip(lines, patterns):
        assert re.fullmatch(pattern, line), f"{line!r} is not /{pattern}/; all: {lines}"


@case
def a_request_whose_connection_is_lost_is_answered_on_the_next():
    with Example() as server:
        lines = server.client()
        check_lines(lines, [r"sceret is \t[0-9a-f]{16}", *dialogue("MQ==")])
        secret = lines[0][-16:]
        server.wait_log(r"hello is login")
        server.wait_log(rf"hello@sample is login, secret is {secret}")
        server.wait_log(r"AFK")
        server.wait_log(r"AFK")


@case
def who_logs_in_again_is_logged_out_first():
    with Example() as server:
        server.client()
        fds = server.fd_count()
        for _ in range(3):
            check_lines(server.client()[1:], dialogue(r"\S+"))
            server.wait_log(r"hello is logout")
            server.wait_log(r"hello@sample is logout")
            server.wait_log(r"KILL self")
        server.wait_fds(fds)


@case
def users_do_not_disturb_each_other():
    with Example() as server:
        names = [f"user{number}" for number in range(8)]
        clients = [server.start_client(name) for name in names]
        for client in clients:
            client.wait()
            check_lines(client.output.all()[1:], dialogue(r"\S+"))
        for name in names:
            assert f"{name}@sample is login" in server.text(), name


@case
def a_wrong_password_is_refused():
    with Example() as server:
        lines = server.client("hello", "secret", status=1)
        assert lines[1:] == ["401 Unauthorized"], lines
        server.wait_log(r"invalid client \(fd = \d+\) error = .*wrong password")
        check_lines(server.client()[1:], dialogue("MQ=="))


@case
def clients_that_say_nothing_or_nonsense_leave_nothing_behind():
    with Example() as server:
        server.client()
        fds = server.fd_count()
        connections = []
        for port in (server.login_port, server.game_port):
            for said in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, b"\xff" * 9000):
                connection = connect(port)
                connection.sendall(said)
                connections.append(connection)
        for connection in connections:
            connection.close()
        server.wait_fds(fds)
        check_lines(server.client()[1:], dialogue(r"\S+"))


@case
def a_stranger_to_the_game_server_is_told_so():
    with Example() as server:
        for said, status in (
            (b"hello", b"400 Bad Request"),
            (b"a@b#c:1:d", b"404 User Not Found"),
        ):
            connection = connect(server.game_port)
            connection.sendall(len(said).to_bytes(2, "big") + said)
            answer = wait_closed(connection)
            assert answer == len(status).to_bytes(2, "big") + status, answer


main()
