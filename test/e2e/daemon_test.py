"""A node in the background: its pid file, its terminal, its start and its end.

A daemon leaves the process group of the test: each case ends it by the number in its pid file."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from harness import BUILD, ROOT, SKYNET, Process, case, main, run, wait_until


class Daemon:
    """The files of one daemon, in a folder of their own."""

    def __init__(self, parameter="stay", more=""):
        self.folder = Path(tempfile.mkdtemp(prefix="skynet-test-"))
        self.pid_file = self.folder / "pid"
        self.log = self.folder / "log"
        self.config = self.folder / "config.lua"
        self.config.write_text(
            f'thread = 2\nharbor = 0\nbootstrap = "boot_probe {parameter}"\n'
            f'cpath = "{BUILD}/cservice/?.so;{BUILD}/test/cservice/?.so"\n'
            f'daemon = "{self.pid_file}"\nlogger = "{self.log}"\n{more}\n'
        )

    def start(self, status=0):
        """Runs the command that starts it; returns its one line of error, or an empty text. Log
        lines from before the log service runs also go to stderr."""
        process = run(SKYNET, self.config, status=status)
        lines = [line for line in process.errors.all() if not line.startswith("[:")]
        assert len(lines) == (1 if status else 0), process.text()
        return lines[0] if lines else ""

    def pid(self):
        text = self.pid_file.read_text()
        assert text.endswith("\n"), repr(text)
        return int(text)

    def logged(self, text):
        return self.log.exists() and text in self.log.read_text()

    def stop(self):
        pid = self.pid()
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not is_alive(pid), f"the daemon {pid} has ended")


@contextlib.contextmanager
def daemon(parameter="stay", more=""):
    files = Daemon(parameter, more)
    try:
        yield files
    finally:
        end(files)
        shutil.rmtree(files.folder, ignore_errors=True)


def end(files):
    """Ends the daemon, if the case has left one: only a process that runs this config."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(files.pid_file.read_text())
        if str(files.config) in Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGKILL)


def is_alive(pid):
    """Whether it runs: what has ended but has not been waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def dead_pid():
    """A number that was a process until now."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def equal(got, expected):
    assert got == expected, f"{got!r} is not {expected!r}"


@case
def it_runs_in_the_background_until_it_is_told_to_end():
    with daemon() as d:
        equal(d.start(), "")
        pid = d.pid()
        wait_until(lambda: d.logged("probe ready"), "the log is written")
        for number in range(3):
            equal(os.readlink(f"/proc/{pid}/fd/{number}"), "/dev/null")
        equal(os.readlink(f"/proc/{pid}/cwd"), str(ROOT))
        equal(os.getsid(pid), pid)
        d.stop()
        assert not d.pid_file.exists()


@case
def all_its_threads_are_there_when_the_command_ends():
    counts = []
    for workers in (2, 5):
        with daemon(more=f"thread = {workers}") as d:
            d.start()
            counts.append(len(os.listdir(f"/proc/{d.pid()}/task")))
            d.stop()
    equal(counts[1] - counts[0], 3)


@case
def a_second_one_is_refused():
    with daemon() as d:
        d.start()
        pid = d.pid()
        equal(
            d.start(status=1),
            f"Skynet is already running, pid = {pid}. (If that is another program, remove "
            f"{d.pid_file}.)",
        )
        assert is_alive(pid)
        equal(d.pid(), pid)
        d.stop()
        # The way is free again.
        d.start()
        d.stop()


@case
def a_living_process_in_the_pid_file_is_believed():
    with daemon() as d:
        d.pid_file.write_text(f"{os.getpid()}\n")
        assert d.start(status=1).startswith(f"Skynet is already running, pid = {os.getpid()}.")
        equal(d.pid(), os.getpid())


@case
def a_pid_file_left_by_a_dead_process_is_taken_over():
    with daemon() as d:
        for text in (f"{dead_pid()}\n", f"{dead_pid()}", ""):
            d.pid_file.write_text(text)
            d.start()
            assert is_alive(d.pid())
            d.stop()


@case
def a_locked_pid_file_is_refused():
    with daemon() as d:
        pid = dead_pid()
        for text, holder in (
            (f"{pid}\n", f"pid {pid}."),
            ("", "a process that is just starting."),
        ):
            d.pid_file.write_text(text)
            with open(d.pid_file, "r+", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                equal(
                    d.start(status=1),
                    f"Can't lock pidfile, lock is held by {holder} ({d.pid_file})",
                )
            equal(d.pid_file.read_text(), text)


@case
def another_file_is_never_overwritten():
    with daemon() as d:
        for text in ("return 1\n", "12 monkeys\n", "-5\n", "99999999999999999999\n"):
            d.pid_file.write_text(text)
            line = d.start(status=1)
            assert line.startswith(f"{d.pid_file} exists and is no pid file; "), line
            equal(d.pid_file.read_text(), text)


@case
def a_pid_file_that_cannot_be_made_is_named():
    with daemon(more='daemon = "/nonexistent/pid"') as d:
        equal(
            d.start(status=1),
            "pid file /nonexistent/pid: cannot be opened: No such file or directory",
        )


@case
def a_start_that_fails_is_told_in_front():
    with daemon("fail") as d:
        assert "boot_probe fail" in d.start(status=1)
        assert not d.pid_file.exists()


@case
def a_start_that_dies_is_told_in_front():
    with daemon("die") as d:
        line = d.start(status=1)
        equal(line, "the daemon was ended by signal 9 (Killed) while it started")
        assert not d.pid_file.exists()


@case
def the_command_waits_until_the_node_has_started():
    with daemon() as d:
        pipe = d.folder / "pipe"
        os.mkfifo(pipe)
        d.config.write_text(d.config.read_text() + f'bootstrap = "boot_probe wait {pipe}"\n')
        front = Process(SKYNET, d.config)
        front.wait_log("probe waits")  # the terminal is still there
        assert front.is_running()
        assert d.pid() != front.pid
        with open(pipe, "wb"):
            pass
        equal(front.wait(), 0)
        wait_until(lambda: d.logged("probe ready"), "the log is written")
        d.stop()


@case
def a_second_signal_ends_one_that_hangs():
    with daemon("hang") as d:
        d.start()
        pid = d.pid()
        wait_until(lambda: d.logged("probe hangs"), "it hangs")


        def has_ended():
            if is_alive(pid):
                os.kill(pid, signal.SIGTERM)
            return not is_alive(pid)

        wait_until(has_ended, "a second signal has ended it")
        assert not d.pid_file.exists()


@case
def a_relative_pid_file_and_log_are_in_the_working_directory():
    with daemon() as d:
        text = d.config.read_text().replace(f'"{d.folder}/', '"./')
        d.config.write_text(text)
        command = f"cd '{d.folder}' && exec '{SKYNET}' config.lua"
        run("sh", "-c", command)
        pid = d.pid()
        equal(os.readlink(f"/proc/{pid}/cwd"), str(d.folder))
        wait_until(lambda: d.logged("probe ready"), "the log is written")
        d.stop()
        assert not d.pid_file.exists()


@case
def a_pid_file_of_a_later_daemon_is_left_alone():
    with daemon() as d:
        d.start()
        first = d.pid()
        d.pid_file.unlink()
        d.start()
        second = d.pid()
        os.kill(first, signal.SIGTERM)
        wait_until(lambda: not is_alive(first), "the first has ended")
        equal(d.pid(), second)
        d.stop()


@case
def without_a_log_file_it_warns():
    with daemon(more="logger = nil") as d:
        process = run(SKYNET, "--check", d.config)
        assert "key 'daemon' without 'logger'" in process.error_text(), process.text()
        # And in front, with the key taken back, it needs none.
        front = Process(SKYNET, d.config, "--set", "daemon=")
        front.wait_log("probe ready")
        front.stop()
        assert not d.pid_file.exists()


main()
