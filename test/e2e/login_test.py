"""The login example, as its users run it: the servers in a node, the client in the stock Lua."""

import re
import subprocess
import tempfile
from pathlib import Path

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


# What other clients than that of the example need.
HEAD = """
package.cpath = os.getenv("LUACLIB") .. "/?.so"
local socket, crypt = require("client.socket"), require("client.crypt")
local encode, decode = crypt.base64encode, crypt.base64decode
local login_port, game_port = tonumber(arg[1]), tonumber(arg[2])
local received = {}

-- What `take` makes of what has come, once it is enough; it also returns what is left over.
local function read(fd, take)
    while true do
        local result, rest = take(received[fd] or "")
        if result then
            received[fd] = rest
            return result
        end
        local bytes = socket.recv(fd)
        if bytes == "" then
            return "the end"
        elseif bytes then
            received[fd] = (received[fd] or "") .. bytes
        else
            socket.usleep(1000)
        end
    end
end

local function read_line(fd)
    return read(fd, function(text)
        return text:match("^(.-)\\n(.*)$")
    end)
end

local function read_packet(fd)
    return read(fd, function(bytes)
        local ok, packet, behind = pcall(string.unpack, ">s2", bytes)
        if ok then
            return packet, bytes:sub(behind)
        end
    end)
end

local function send_line(fd, bytes)
    socket.send(fd, encode(bytes) .. "\\n")
end

-- Returns the secret, and the last line.
local function login(after_all)
    local fd = socket.connect("127.0.0.1", login_port)
    local challenge, private = decode(read_line(fd)), crypt.randomkey()
    send_line(fd, crypt.dhexchange(private))
    local secret = crypt.dhsecret(decode(read_line(fd)), private)
    send_line(fd, crypt.hmac64(challenge, secret))
    local token = ("%s@%s:%s"):format(encode("hello"), encode("sample"), encode("password"))
    send_line(fd, crypt.desencode(secret, token))
    after_all(fd)
    return secret, read_line(fd)
end
"""


def run_program(server, text):
    """Runs a Lua program behind HEAD to its end. Returns the lines that it prints."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "program.lua")
        path.write_text(HEAD + text)
        with LuaProgram(path, server.login_port, server.game_port) as program:
            program.wait()
            return program.output.all()


@case
def who_has_said_all_may_end_its_stream_and_gets_the_answer():
    with Example() as server:
        lines = run_program(
            server,
            """
            local _, line = login(function(fd)
                socket.shutdown(fd, "w")
            end)
            print(line)
            """,
        )
        assert lines == ["200 MQ=="], lines


@case
def a_first_packet_counts_once_and_the_latest_connection_is_the_one():
    with Example() as server:
        lines = run_program(
            server,
            """
            local secret, line = login(print)
            local name = ("%s@%s#%s"):format(encode("hello"), encode("sample"), line:sub(5))

            local function enter(index)
                local fd = socket.connect("127.0.0.1", game_port)
                local text = name .. ":" .. index
                local signature = encode(crypt.hmac_hash(secret, text))
                socket.send(fd, (">s2"):pack(text .. ":" .. signature))
                print(index, read_packet(fd))
                return fd
            end

            local first = enter(1)
            socket.send(first, (">s2"):pack("question\\0\\0\\0\\7"))
            enter(1)
            enter(0)
            local second = enter(2)
            local last = read_packet(first)
            if last:find("^question") then -- it was ready before the second connection
                last = read_packet(first)
            end
            print("first", last)
            socket.send(second, (">s2"):pack("another\\0\\0\\0\\7"))
            print("second", (read_packet(second):gsub("%c", "%%")))
            socket.send(second, (">s2"):pack("bad"))
            print("second", read_packet(second))
            enter(3)
            """,
        )
        assert lines[1:] == [
            "1\t200 OK",
            "1\t403 Index Expired",
            "0\t403 Index Expired",
            "2\t200 OK",
            "first\tthe end",
            "second\tquestion%%%%%",
            "second\tthe end",
            "3\t200 OK",
        ], lines


@case
def a_stranger_to_the_game_server_is_told_so():
    with Example() as server:
        for said, status in (
            (b"", b"400 Bad Request"),
            (b"hello", b"400 Bad Request"),
            (b"a@b#c:1:d", b"404 User Not Found"),
        ):
            connection = connect(server.game_port)
            connection.sendall(len(said).to_bytes(2, "big") + said)
            answer = wait_closed(connection)
            assert answer == len(status).to_bytes(2, "big") + status, answer


main()
