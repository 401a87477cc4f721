"""client.socket: TCP for Lua programs that are no services, against sockets of the test."""

import contextlib
import shutil
import socket
import tempfile
from pathlib import Path

from harness import DEADLINE_S, case, free_port, main, recv_exactly
from lua_program import LuaProgram

HEAD = """
package.cpath = os.getenv("LUACLIB") .. "/?.so"
local socket = require("client.socket")
local port = tonumber(arg[1])
io.stdout:setvbuf("line")

-- What comes next, whenever that is.
local function wait(fd)
    while true do
        local bytes = socket.recv(fd)
        if bytes then
            return bytes
        end
        socket.usleep(1000)
    end
end
"""


@contextlib.contextmanager
def program(text, *words):
    """A running Lua program, which has the module socket and the number port."""
    folder = Path(tempfile.mkdtemp(prefix="skynet-test-"))
    try:
        (folder / "program.lua").write_text(HEAD + text)
        with LuaProgram(folder / "program.lua", *words) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def server():
    """A listening socket, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE_S)
        yield listener, listener.getsockname()[1]


def accept(listener):
    connection, _ = listener.accept()
    connection.settimeout(DEADLINE_S)
    return connection


@case
def bytes_go_both_ways_and_the_end_is_seen():
    with server() as (listener, port):
        with program(
            """
            local fd = socket.connect("127.0.0.1", port)
            assert(socket.recv(fd) == nil)
            socket.send(fd, "hello\\0you")
            print(wait(fd))
            print(#wait(fd))
            socket.close(fd)
            print(pcall(socket.close, fd))
            """,
            port,
        ) as client:
            connection = accept(listener)
            assert recv_exactly(connection, 9) == b"hello\0you"
            connection.sendall(b"and you")
            client.wait_log("^and you$")
            connection.close()
            client.wait_log("^0$")
            client.wait_log("^false\tclose failed: Bad file descriptor$")
            client.wait()


@case
def send_waits_until_all_is_taken():
    with server() as (listener, port):
        with program(
            """
            local fd = socket.connect("127.0.0.1", port)
            socket.send(fd, ("0123456789"):rep(1000000))
            socket.shutdown(fd, "w")
            print("taken")
            wait(fd)
            """,
            port,
        ) as client:
            connection = accept(listener)
            assert recv_exactly(connection, 10_000_000) == b"0123456789" * 1_000_000
            client.wait_log("^taken$")
            assert connection.recv(1) == b""
            connection.close()
            client.wait()


@case
def either_direction_is_ended_alone():
    with server() as (listener, port):
        with program(
            """
            local fd = socket.connect("127.0.0.1", port)
            socket.shutdown(fd, "r")
            print("r", #wait(fd))
            socket.send(fd, "still")
            socket.shutdown(fd, "rw")
            socket.shutdown(fd, "rw")
            print(pcall(socket.shutdown, fd, "x"))
            """,
            port,
        ) as client:
            connection = accept(listener)
            client.wait_log("^r\t0$")
            assert recv_exactly(connection, 5) == b"still"
            assert connection.recv(1) == b""
            client.wait_log("^false\t.*invalid option 'x'")
            connection.close()
            client.wait()


@case
def a_broken_connection_is_an_error_and_no_signal():
    with server() as (listener, port):
        with program(
            """
            local fd = socket.connect("127.0.0.1", port)
            wait(fd)
            local ok, reason
            repeat
                ok, reason = pcall(socket.send, fd, ("x"):rep(10000))
            until not ok
            print(reason)
            """,
            port,
        ) as client:
            connection = accept(listener)
            connection.sendall(b"x")
            connection.close()
            client.wait_log("send failed: (Broken pipe|Connection reset by peer)")
            client.wait()


@case
def a_refused_connection_says_where_and_why():
    with program(
        """
        print(pcall(socket.connect, "127.0.0.1", port))
        print(pcall(socket.connect, "no such host", port))
        """,
        free_port(),
    ) as client:
        client.wait_log(r"^false\t.*connect to 127.0.0.1 port \d+ failed: Connection refused$")
        client.wait_log(r"^false\t.*connect to no such host failed: ")
        client.wait()


READ_LINES = """
while true do
    local line = socket.readstdin()
    if line then
        print("line", #line, line:sub(1, 20))
    else
        socket.usleep(1000)
    end
end
"""


@case
def the_keyboard_is_read_by_lines_and_its_end_ends_the_program():
    with program(READ_LINES) as client:
        client.expect_status(1)
        client.write("one\ntwo\n\nthr")
        client.wait_log("^line\t3\tone$")
        client.wait_log("^line\t3\ttwo$")
        client.wait_log("^line\t0\t$")
        client.write("ee\nthe rest")
        client.wait_log("^line\t5\tthree$")
        client.end_input()
        client.wait_log("^line\t8\tthe rest$")
        client.wait()


@case
def a_line_that_is_too_long_comes_in_pieces():
    with program(READ_LINES) as client:
        client.expect_status(1)
        client.write("x" * 100_000 + "\n")
        client.wait_log(f"^line\t{64 * 1024}\t")
        client.wait_log(f"^line\t{100_000 - 64 * 1024}\t")
        client.end_input()
        client.wait()


@case
def wrong_arguments_are_named():
    with program(
        """
        local function try(name, ...)
            print(name, select(2, pcall(socket[name], ...)))
        end
        try("connect")
        try("connect", "127.0.0.1")
        try("connect", "127.0.0.1", 0)
        try("connect", "127.0.0.1", 65536)
        try("send", -1, "x")
        try("send", 1 << 40, "x")
        try("send", 0)
        try("recv", "x")
        try("close")
        try("usleep", -1)
        try("recv", 12345)
        """
    ) as client:
        for line in (
            "connect\t.*argument #1.*string expected",
            "connect\t.*argument #2.*number expected",
            "connect\t.*argument #2.*a port is in 1..65535",
            "connect\t.*argument #2.*a port is in 1..65535",
            "send\t.*argument #1.*not a socket",
            "send\t.*argument #1.*not a socket",
            "send\t.*argument #2.*string expected",
            "recv\t.*argument #1.*number expected",
            "close\t.*argument #1.*number expected",
            "usleep\t.*argument #1.*not a time",
            "recv\trecv failed: Bad file descriptor",
        ):
            client.wait_log(f"^{line}")
        client.wait()


main()
