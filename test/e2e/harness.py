"""What end-to-end tests share: nodes and clients as processes, deadlines, and the cases themselves.

A test file looks like this:

    from harness import Node, case, connect, main, recv_frame, send_frame

    @case
    def a_client_gets_what_it_set():
        with Node('start = "main"') as node:
            node.wait_log(r"listen on .*:(\\d+)")
            ...

    main()

Each case runs in the file's process, one after another, and fails with an exception. Whatever a
case started is ended when the case is over. A node that crashes, ends with a status other than
expected, or about which a sanitizer has something to say, fails its case.
"""

import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / os.environ.get("SKYNET_BUILD", "build/plain")
SKYNET = str(BUILD / "skynet")
CLIENT = str(BUILD / "client")
SANITIZERS = os.environ.get("SKYNET_SAN", "")
# Every wait has an end. A test that passes never gets near it, however busy the machine is.
DEADLINE_S = 60 * (3 if SANITIZERS else 1)

_SANITIZER_REPORT = re.compile(
    r"(ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|FATAL: ThreadSanitizer"
    r"|:\d+:\d+: runtime error:|UndefinedBehaviorSanitizer:).*"
)
# What a process printed is all there when it has ended, unless a child of it holds the pipes open.
_LAST_WORDS_S = 1
# Of each process, when a case has failed.
_LAST_LINES = 30
# How often a condition that no event announces is looked at again.
_POLL_S = 0.01


class Skip(Exception):
    """Raised by a case that cannot run here; the text says why."""


# --- the cases of a file ---------------------------------------------------------------------

_cases = []
_started = []  # what the running case has started: objects with close()


def case(function):
    """Makes a function a case, named like the function."""
    _cases.append(function)
    return function


def main():
    """Runs the cases (or those named on the command line), prints their results, and exits."""
    failures = 0
    for function in _cases:
        name = function.__name__
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        print(f"# {name}", flush=True)
        try:
            _run_case(function)
            print(f"ok {name}", flush=True)
        except Skip as reason:
            print(f"ok {name} # SKIP {reason}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            failures += 1
            traceback.print_exc(file=sys.stdout)
            reason = str(error).split("\n", 1)[0] or type(error).__name__
            print(f"not ok {name}: {reason}", flush=True)
    print("# done", flush=True)
    sys.exit(1 if failures else 0)


def keep(thing):
    """Has an object that the case has made closed, by its close(), when the case is over."""
    _started.append(thing)
    return thing


def _run_case(function):
    try:
        function()
    except BaseException:
        _print_last_lines()
        _close_all(quietly=True)
        raise
    _close_all(quietly=False)


def _print_last_lines():
    """What the processes of a case that has failed said last."""
    for thing in _started:
        if isinstance(thing, Process):
            print(f"# process {thing.pid}, {thing.command[-1]}:")
            for line in thing.output.all()[-_LAST_LINES:]:
                print(f"#   {line}")


def _close_all(quietly):
    """Ends what the case left running, last first. Quietly: the case has failed already."""
    problem = None
    while _started:
        try:
            _started.pop().close()
        except Exception as error:  # pylint: disable=broad-except
            if quietly:
                print(f"# also: {error}")
            problem = problem or error
    if problem and not quietly:
        raise problem


# --- waiting ---------------------------------------------------------------------------------


def wait_until(condition, what, deadline_s=DEADLINE_S):
    """Looks until condition() is true, and returns that. For what is logged, use wait_log."""
    deadline = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still not after {deadline_s:g} s: {what}")
        time.sleep(_POLL_S)


class _Lines:
    """The lines that a process prints, as they come: a reader thread of its own for each pipe."""

    def __init__(self):
        self._changed = threading.Condition()
        self._lines = []
        self._open_pipes = 0

    def read_from(self, pipe):
        self._open_pipes += 1
        threading.Thread(target=self._read, args=(pipe,), daemon=True).start()

    def _read(self, pipe):
        with pipe:
            for line in pipe:
                with self._changed:
                    self._lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
                    self._changed.notify_all()
        with self._changed:
            self._open_pipes -= 1
            self._changed.notify_all()

    def all(self):
        with self._changed:
            return list(self._lines)

    def wait(self, pattern, start, deadline_s):
        """Returns (match, number of the next line), or (None, ...) at the end or the deadline."""
        deadline = time.monotonic() + deadline_s
        with self._changed:
            while True:
                for number in range(start, len(self._lines)):
                    match = re.search(pattern, self._lines[number])
                    if match:
                        return match, number + 1
                start = max(start, len(self._lines))
                remaining = deadline - time.monotonic()
                if not self._open_pipes or remaining <= 0:
                    return None, start
                self._changed.wait(remaining)

    def wait_end(self, deadline_s):
        deadline = time.monotonic() + deadline_s
        with self._changed:
            while self._open_pipes and time.monotonic() < deadline:
                self._changed.wait(deadline - time.monotonic())


# --- processes -------------------------------------------------------------------------------


class Process:
    """A program that the case has started: its output, its end, and what it uses."""

    def __init__(self, *command, env=None, stdin=subprocess.PIPE, descriptors=()):
        self.command = [str(word) for word in command]
        self.output = _Lines()  # both of stdout and stderr, in order of arrival
        self.errors = _Lines()  # stderr alone
        self._position = 0
        self._expected = {0}
        self._is_checked = False
        self._popen = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env=dict(os.environ, **(env or {})),
            stdin=stdin,
            pass_fds=descriptors,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.pid = self._popen.pid
        self.output.read_from(self._popen.stdout)
        self._tee_errors()
        keep(self)

    def _tee_errors(self):
        """Copies stderr into both lists of lines."""
        pipes = [os.pipe(), os.pipe()]
        for lines, (reader, _) in zip((self.output, self.errors), pipes):
            lines.read_from(os.fdopen(reader, "rb"))
        threading.Thread(
            target=_copy, args=(self._popen.stderr, [writer for _, writer in pipes]), daemon=True
        ).start()

    def __enter__(self):
        return self

    def __exit__(self, kind, _error, _trace):
        if kind is None:
            self.close()
        return False  # a case that failed has its things closed by _run_case

    # Talking to it

    def write(self, text):
        """Writes text to its standard input."""
        self._popen.stdin.write(text.encode() if isinstance(text, str) else text)
        self._popen.stdin.flush()

    def end_input(self):
        """Closes its standard input."""
        self._popen.stdin.close()

    def wait_log(self, pattern, deadline_s=DEADLINE_S):
        """Waits for a line, printed after those already waited for, in which the pattern is
        found. Returns the match."""
        match, self._position = self.output.wait(pattern, self._position, deadline_s)
        if not match:
            state = "runs" if self.is_running() else f"ended, {self._status_text()}"
            raise AssertionError(f"no line /{pattern}/ ({state}); it printed:\n{self.text()}")
        return match

    def check_running(self):
        """Fails if it has ended: what the test waits for will never come."""
        if not self.is_running():
            raise AssertionError(
                f"{self._name()} ended, {self._status_text()}; it printed:\n{self.text()}"
            )

    def text(self):
        """All it has printed so far."""
        return "\n".join(self.output.all())

    def error_text(self):
        """All it has printed to stderr so far."""
        return "\n".join(self.errors.all())

    # Its end

    def is_running(self):
        return self._popen.poll() is None

    def signal(self, number):
        self._popen.send_signal(number)

    def halt(self):
        """Stops all its threads where they are, until go_on. The signal alone does not wait."""
        self.signal(signal.SIGSTOP)
        wait_until(self._stands_still, f"{self._name()} stands still")

    def _stands_still(self):
        states = Path(f"/proc/{self.pid}/task").glob("*/stat")
        return all(state.read_text().rsplit(")", 1)[1].split()[0] == "T" for state in states)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def expect_status(self, *statuses):
        """What exit statuses are right, instead of 0 alone; -N for an end by signal N."""
        self._expected = set(statuses)

    def wait(self, deadline_s=DEADLINE_S):
        """Waits until it has ended by itself, checks how, and returns the exit status."""
        try:
            status = self._popen.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self._name()} still runs after {deadline_s:g} s; it printed:\n{self.text()}"
            ) from None
        self._check_end()
        return status

    def stop(self, deadline_s=DEADLINE_S):
        """Asks it to end (SIGTERM), waits, and checks how it ended."""
        if self.is_running():
            self.signal(signal.SIGTERM)
        return self.wait(deadline_s)

    def kill(self):
        """Ends it at once (SIGKILL), as a crash would."""
        self.expect_status(-signal.SIGKILL)
        self._popen.kill()
        self.wait()

    def close(self):
        """Stops it if it runs. Ends it whatever happens."""
        if self in _started:
            _started.remove(self)
        try:
            self.stop()
        finally:
            if self.is_running():
                self._popen.kill()
                self._popen.wait()
            try:
                self._popen.stdin.close()
            except (AttributeError, OSError):
                pass  # it has none, or never read it

    def _check_end(self):
        if self._is_checked:
            return
        self._is_checked = True
        for lines in (self.output, self.errors):
            lines.wait_end(_LAST_WORDS_S)
        report = _SANITIZER_REPORT.search(self.text())
        if report:
            raise AssertionError(f"{self._name()}: {report.group(0)}\n{self.text()}")
        if self._popen.returncode not in self._expected:
            raise AssertionError(
                f"{self._name()}: {self._status_text()}; it printed:\n{self.text()}"
            )

    def _name(self):
        return Path(self.command[0]).name

    def _status_text(self):
        status = self._popen.returncode
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"

    # What it uses

    def fd_count(self):
        """How many descriptors it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def thread_count(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def rss_kb(self):
        """Its resident memory."""
        return int(self._status_field("VmRSS"))

    def cpu_s(self):
        """The processor time it has used, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def context_switches(self):
        """How often its threads were put to sleep or aside so far."""
        total = 0
        for status in Path(f"/proc/{self.pid}/task").glob("*/status"):
            for count in re.findall(r"ctxt_switches:\s+(\d+)", status.read_text()):
                total += int(count)
        return total

    def _status_field(self, name):
        text = Path(f"/proc/{self.pid}/status").read_text()
        return re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE).group(1)

    def wait_fds(self, count, deadline_s=DEADLINE_S):
        """Waits until it has at most so many descriptors open: nothing leaked."""
        wait_until(
            lambda: self.fd_count() <= count,
            f"at most {count} descriptors open in {self._name()}",
            deadline_s,
        )


def _copy(pipe, writers):
    with pipe:
        while True:
            data = pipe.read1(65536)
            if not data:
                break
            for writer in writers:
                os.write(writer, data)
    for writer in writers:
        os.close(writer)


def run(*command, stdin="", env=None, status=0, deadline_s=DEADLINE_S):
    """Runs a program to its end: run(SKYNET, "--version"). Returns the Process.

    status: the exit status that is right; a tuple for more than one."""
    process = Process(*command, env=env)
    process.expect_status(*(status if isinstance(status, tuple) else (status,)))
    try:
        process.write(stdin)
        process.end_input()
    except BrokenPipeError:
        pass  # it did not want to read
    process.wait(deadline_s)
    process.close()
    return process


# --- nodes -----------------------------------------------------------------------------------


class Node(Process):
    """A running skynet.

    config: text of a config file, after the paths that make this build's modules found.
    settings: config keys that Python sets, as NAME=value; they win over the text.
    arguments: further words of the command line.
    stdin: subprocess.PIPE for a node that reads it; descriptors: what it inherits besides.
    The current directory is the top of the tree; self.folder is a folder for files of the case."""

    def __init__(
        self,
        config="",
        arguments=(),
        env=None,
        stdin=subprocess.DEVNULL,
        descriptors=(),
        **settings,
    ):
        self.folder = Path(tempfile.mkdtemp(prefix="skynet-test-"))
        self.config = write_config(self.folder, config, **settings)
        try:
            command = self.command((SKYNET, str(self.config), *arguments))
            super().__init__(*command, env=env, stdin=stdin, descriptors=descriptors)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def command(self, words):
        """For nodes that are started by another program: the words of its command line."""
        return words

    def close(self):
        try:
            super().close()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def write_config(folder, config="", **settings):
    """Writes a config file that Node would use into a folder, and returns its path."""
    defaults = {
        "thread": 4,
        "harbor": 0,
        "cpath": f"{BUILD}/cservice/?.so;{BUILD}/test/cservice/?.so",
        "lua_cpath": f"{BUILD}/luaclib/?.so",
        "luaservice": "./service/?.lua;./examples/?.lua;./test/service/?.lua",
    }
    path = Path(folder) / "config.lua"
    parts = [_assignments(defaults), config, _assignments(settings)]
    path.write_text("\n".join(part for part in parts if part) + "\n")
    return path


def _assignments(settings):
    return "\n".join(f"{key} = {_lua_value(value)}" for key, value in settings.items())


def _lua_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


# --- network ---------------------------------------------------------------------------------


_reserved = []  # an abstract Unix socket for each port: its name is free again when we end


def free_port():
    """A TCP port that nobody uses, for this test alone until it ends. It is outside the range that
    the system hands out, so that no outgoing connection takes it meanwhile."""
    for _ in range(200):
        port = random.randrange(10000, 32000)
        if _reserve(port) and _is_free(port):
            return port
    raise AssertionError("found no free port in 200 tries")


def _reserve(port):
    """Marks a port as taken, for all tests on this machine. Like a port, the mark is something in
    the network namespace that the system takes back, however this process ends."""
    mark = socket.socket(socket.AF_UNIX)
    try:
        mark.bind(f"\0skynet test port {port}")
    except OSError:
        mark.close()
        return False
    _reserved.append(mark)
    return True


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
            return True
        except OSError:
            return False


def connect(port, host="127.0.0.1", deadline_s=DEADLINE_S):
    """Connects, and tries again while nobody listens yet. The socket has the same deadline."""
    deadline = time.monotonic() + deadline_s
    while True:
        try:
            connection = socket.create_connection((host, port), deadline_s)
            break
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise AssertionError(f"nobody listens on {host}:{port}") from None
            time.sleep(_POLL_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return keep(connection)


def frame(payload):
    """A payload as the gate wants it: two bytes of length, big endian, in front."""
    data = payload.encode() if isinstance(payload, str) else payload
    return struct.pack(">H", len(data)) + data


def send_frame(connection, payload):
    connection.sendall(frame(payload))


def recv_frame(connection):
    """The payload of the next frame. Fails when the stream ends before it."""
    (size,) = struct.unpack(">H", recv_exactly(connection, 2))
    return recv_exactly(connection, size)


def recv_exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise AssertionError(f"the stream ended after {len(data)} of {size} bytes")
        data += piece
    return data


def wait_closed(connection):
    """Waits for the end of the stream, or its reset. Returns the bytes that came before."""
    data = b""
    try:
        while True:
            piece = connection.recv(65536)
            if not piece:
                return data
            data += piece
    except ConnectionError:
        return data
