"""Where log lines go: stdout, a file, a file that was renamed away, a disk that is full."""

import os
import re
import signal
import socket
import tempfile
import time
from pathlib import Path

from harness import (
    SKYNET,
    Node,
    case,
    free_port,
    main,
    run,
    wait_until,
    write_config,
)

STAMPED = re.compile(r"^\d\d/\d\d/\d\d \d\d:\d\d:\d\d\.\d\d \[:[0-9a-f]{8}\] .")


@case
def lines_that_services_print_and_log_stay_whole():
    with Node(start="printer", thread=4) as node:
        wait_until(lambda: node.text().count("logged 200") == 6, "all have printed and logged")
        node.stop()
        lines = node.text().splitlines()
    printed = re.compile("printed\t[0-9]+\t-{40}\tnil\ttrue")
    assert sum(bool(printed.fullmatch(line)) for line in lines) == 6 * 200
    others = [line for line in lines if not re.match(r"\[:0[0-9a-f]{7}\] \S", line)]
    assert len(others) == 6 * 200, others


class LoggingNode(Node):
    """A node that logs a few lines for every client that comes and goes."""

    def __init__(self, **settings):
        self.port = free_port()
        super().__init__(start="gate_user", gate_port=f"127.0.0.1:{self.port}", **settings)

    def make_lines(self):
        with socket.create_connection(("127.0.0.1", self.port), 15) as client:
            client.shutdown(socket.SHUT_WR)
            client.recv(1)

    def make_lines_until(self, condition, what):
        def once():
            self.make_lines()
            return condition()

        wait_until(once, what)


def wait_for_line(path, pattern):
    def find():
        try:
            return re.search(pattern, path.read_text(), re.MULTILINE)
        except FileNotFoundError:
            return None

    return wait_until(find, f"/{pattern}/ in {path}")


@case
def stdout_has_the_address_in_front():
    with LoggingNode() as node:
        node.wait_log(r"^\[:[0-9a-f]{8}\] ready$")


@case
def a_file_has_the_time_in_front_and_is_appended_to():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "node.log"
        path.write_text("what was there before\n")
        began = time.time()
        with LoggingNode(logger=path) as node:
            wait_for_line(path, r"\] ready$")
            assert "ready" not in node.text()
        lines = path.read_text().splitlines()
        assert lines[0] == "what was there before"
        for line in lines[1:]:
            assert STAMPED.match(line), line
        told = time.mktime(time.strptime(lines[-1][:17], "%d/%m/%y %H:%M:%S"))
        assert began - 2 < told < time.time() + 2, lines[-1]


@case
def the_last_lines_of_a_node_are_there():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "node.log"
        with LoggingNode(logger=path) as node:
            wait_for_line(path, r"\] ready$")
            for _ in range(20):
                node.make_lines()
            # Each client's lines are on their way at this moment.
        text = path.read_text()
        assert text.endswith("\n")
        assert len(re.findall("LAUNCH client", text)) == 20


@case
def hangup_opens_the_file_again():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "node.log"
        with LoggingNode(logger=path) as node:
            wait_for_line(path, r"\] ready$")
            path.rename(path.with_suffix(".1"))
            node.signal(signal.SIGHUP)
            wait_until(path.exists, "the file is there again")
            node.make_lines()
            wait_for_line(path, "LAUNCH client")
        assert "LAUNCH client" not in path.with_suffix(".1").read_text()


@case
def a_file_that_cannot_be_opened_is_told():
    with tempfile.TemporaryDirectory() as folder:
        config = write_config(folder, logger=f"{folder}/no/such/folder/node.log")
        text = run(SKYNET, config, status=1).error_text()
        assert f"logger: cannot open {folder}/no/such/folder/node.log: No such file" in text, text
        assert "config key" in text


@case
def lines_that_cannot_be_written_go_to_stderr_until_they_can():
    if not os.path.exists("/dev/full"):
        return
    with tempfile.TemporaryDirectory() as folder:
        path, real = Path(folder) / "node.log", Path(folder) / "real.log"
        path.symlink_to("/dev/full")
        with LoggingNode(logger=path) as node:
            node.wait_log(f"logger: cannot write to {path}: No space left on device")
            node.wait_log(r"^\[:[0-9a-f]{8}\] ready$")
            # The disk gets room.
            path.unlink()
            path.symlink_to(real)
            node.make_lines_until(
                lambda: real.exists() and "LAUNCH client" in real.read_text(),
                "lines go to the file again",
            )
            assert node.text().count("cannot write") == 1, node.text()
        for line in real.read_text().splitlines():
            assert STAMPED.match(line), line


@case
def no_line_is_lost_when_the_disk_becomes_full():
    many = """
        local skynet = require "skynet"
        skynet.start(function()
            for i = 1, 2000 do
                skynet.error(("line %d %s"):format(i, ("x"):rep(60)))
            end
            skynet.abort()
        end)
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "many.lua").write_text(many)
        path = Path(folder) / "node.log"
        services = f"{folder}/?.lua;./service/?.lua"
        config = write_config(folder, start="many", logger=path, luaservice=services)
        # 64 KiB, half of what the lines have; without the signal a write behind that fails.
        limited = "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$1\""
        written = run("sh", "-c", limited, SKYNET, str(config)).error_text()
        assert f"logger: cannot write to {path}: File too large" in written, written
        numbers = re.findall(r"line (\d+) x{60}", path.read_text() + written)
        assert path.stat().st_size == 65536
        missing = set(range(1, 2001)) - set(map(int, numbers))
        assert not missing, missing


main()
