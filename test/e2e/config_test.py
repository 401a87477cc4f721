"""The command line, the config file, and the signals, as the user of the executable sees them."""

import contextlib
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

from harness import BUILD, ROOT, SKYNET, Node, Process, case, main, run, wait_until


@contextlib.contextmanager
def config(text):
    """A config file with this text, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="skynet-test-"))
    path = folder / "config.lua"
    path.write_text(text)
    try:
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def only_error(process):
    """The one line that a program has printed, which must be on stderr."""
    lines = process.errors.all()
    assert len(lines) == 1, f"expected one line on stderr, got {lines}"
    assert process.output.all() == lines, process.text()
    return lines[0]


def refused(text, status=1, arguments=()):
    """What --check and a start say about a bad config; it must be the same."""
    with config(text) as path:
        checked = only_error(run(SKYNET, "--check", path, *arguments, status=status))
        started = only_error(run(SKYNET, path, *arguments, status=status))
        assert checked == started, (checked, started)
        return checked.replace(f"{path.parent}/", "")


def equal(got, expected):
    assert got == expected, f"{got!r} is not {expected!r}"


def probe(parameter, **settings):
    """A node whose only services are the log and the one that plays the bootstrap."""
    return Node(bootstrap=f"boot_probe {parameter}", **settings)


# --- the command line ------------------------------------------------------------------------


@case
def without_arguments_it_prints_its_usage_and_fails():
    process = run(SKYNET, status=1)
    assert process.errors.all()[0].startswith("Usage: skynet "), process.text()
    equal(process.output.all(), process.errors.all())


@case
def help_and_version_go_to_stdout():
    for option in ("--help", "-h"):
        process = run(SKYNET, option)
        assert process.output.all()[0].startswith("Usage: skynet "), process.text()
        equal(process.errors.all(), [])
    for option in ("--version", "-v"):
        process = run(SKYNET, option)
        assert re.fullmatch(r"skynet \d+\.\d+\.\d+", process.text()), process.text()


@case
def a_wrong_command_line_is_told_in_one_line():
    for words, error in (
        (["--nonsense", "x"], "there is no option '--nonsense'"),
        (["-x"], "there is no option '-x'"),
        (["--check"], "the name of a config file is missing"),
        (["--set", "a=b"], "the name of a config file is missing"),
        (["--set"], "--set needs KEY=VALUE behind it"),
        (["x", "--set", "thread"], "--set thread: write KEY=VALUE, for example --set thread=4"),
        (["x", "--set=", "y"], "--set : write KEY=VALUE, for example --set thread=4"),
        (["x", "--set", "=4"], "--set =4: write KEY=VALUE, for example --set thread=4"),
        (["x", "y"], "one config at a time, not 'x' and 'y'; a config can include others"),
    ):
        line = only_error(run(SKYNET, *words, status=2))
        equal(line, f"skynet: {error} (see skynet --help)")


@case
def options_stand_anywhere_until_two_dashes():
    with config("thread = 2") as path:
        for words in (
            ["--check", path],
            [path, "--check"],
            ["--set", "thread=3", "--check", path, "--set=own=x=y"],
            ["--check", "--", path],
        ):
            equal(run(SKYNET, *words).text(), f"{path}: ok")
    line = only_error(run(SKYNET, "--check", "--", "--help", status=1))
    equal(line, "--help: cannot be opened: No such file or directory")


@case
def the_manual_tells_of_every_key_and_option():
    manual = (ROOT / "docs/config.md").read_text()
    keys = [line.split()[0] for line in run(SKYNET, "--keys").output.all()]
    assert "thread" in keys and len(keys) == len(set(keys)), keys
    for key in keys:
        assert re.search(rf"^\| `{key}` \|", manual, re.MULTILINE), f"no row for the key {key}"
    for option in re.findall(r"--[a-z]+", run(SKYNET, "--help").text()):
        assert f"`{option}" in manual, f"nothing about the option {option}"


# --- the config ------------------------------------------------------------------------------


@case
def a_missing_config_is_named():
    for words in (["none/config.lua"], ["--check", "none/config.lua"]):
        line = only_error(run(SKYNET, *words, status=1))
        equal(line, "none/config.lua: cannot be opened: No such file or directory")


@case
def mistakes_in_a_config_are_one_line_with_file_and_line():
    equal(refused("a = 1\nb = ="), "config.lua:2: unexpected symbol near '='")
    equal(
        refused("\nthread = 5000"),
        "config.lua:2: key 'thread': 5000 is not in 1..1024; set it to a number in that range, or "
        "leave it out (default: usable processors)",
    )
    equal(
        refused("start = 42"),
        "config.lua:1: key 'start': 42 is a number, not a text; put a text in quotes, or leave it "
        "out",
    )
    equal(
        refused("x = {}"),
        "config.lua:1: key 'x': a table cannot be a setting; a text, a number, true or false can",
    )
    equal(
        refused("-- $X\nlogger = '$SKYNET_TEST_UNSET'"),
        "config.lua:2: the environment variable SKYNET_TEST_UNSET is not set; set it, or write "
        "\\x24 for a plain $ in a string",
    )
    assert "does not come to an end" in refused("while true do end")
    equal(
        refused("thread = 4", arguments=("--set", "thread=none")),
        "--set: key 'thread': 'none' is not a whole number; set it to one in 1..1024, or leave it "
        "out (default: usable processors)",
    )


@case
def a_misspelt_key_is_a_warning():
    with config("\ntread = 4\nmy_own_key = 1") as path:
        process = run(SKYNET, "--check", path)
        warning = f"{path}:2: warning: key 'tread' is unknown; did you mean 'thread'?"
        equal(process.errors.all(), [warning])
        assert f"{path}: ok" in process.output.all()


@case
def the_example_configs_are_good():
    for path in sorted((ROOT / "examples").glob("config*.lua")):
        run(SKYNET, "--check", path)


@case
def set_wins_over_the_file():
    node = Node(bootstrap="none", arguments=("--set", "bootstrap=boot_probe stay"))
    node.wait_log("probe ready")
    node.stop()


# --- a node that cannot run ------------------------------------------------------------------


@case
def a_start_that_fails_ends_with_status_1():
    for bad in (
        {"bootstrap": "boot_probe fail"},
        {"bootstrap": "no_such_module"},
        {"bootstrap": "boot_probe stay", "logservice": "no_such_module"},
    ):
        node = Node(**bad)
        node.expect_status(1)
        node.wait()
        name = bad.get("logservice", bad["bootstrap"])
        assert name in node.error_text(), node.text()


# --- signals ---------------------------------------------------------------------------------


@case
def term_and_int_end_a_node_in_good_order():
    for number in (signal.SIGTERM, signal.SIGINT):
        node = probe("stay")
        node.wait_log("probe ready")
        node.signal(number)
        equal(node.wait(), 0)


@case
def two_signals_that_come_together_are_one():
    node = probe("stay")
    node.wait_log("probe ready")
    node.halt()
    node.signal(signal.SIGTERM)
    node.signal(signal.SIGINT)
    node.go_on()
    equal(node.wait(), 0)


def insist(node, number):
    """Sends more signals, until the node has ended."""

    def has_ended():
        node.signal(number)
        return not node.is_running()

    wait_until(has_ended, "a second signal has ended it")
    node.wait()


@case
def a_second_signal_ends_a_node_that_hangs():
    for number in (signal.SIGTERM, signal.SIGINT):
        node = probe("hang")
        node.expect_status(128 + number)
        node.wait_log("probe hangs")
        node.signal(number)
        insist(node, number)
        assert "ended without waiting for services" in node.error_text(), node.text()


@case
def a_signal_during_the_start_is_kept_until_it_is_over():
    with pipe_file() as path:
        node = probe(f"wait {path}")
        node.wait_log("probe waits")
        node.signal(signal.SIGHUP)
        node.signal(signal.SIGTERM)
        wait_until(lambda: not is_pending(node, signal.SIGTERM), "the signal has been taken")
        assert node.is_running()
        with open(path, "wb"):
            pass
        equal(node.wait(), 0)


@case
def a_second_signal_ends_a_start_that_hangs():
    with pipe_file() as path:
        node = probe(f"wait {path}")
        node.expect_status(128 + signal.SIGTERM)
        node.wait_log("probe waits")
        node.signal(signal.SIGTERM)
        insist(node, signal.SIGTERM)


@case
def hup_reopens_the_log():
    with config("") as path:
        log = path.parent / "log"
        old = path.parent / "log.old"
        node = probe("stay", logger=log)
        wait_until(lambda: log.exists() and "probe ready" in log.read_text(), "the log is written")
        log.rename(old)
        node.signal(signal.SIGHUP)
        wait_until(log.exists, "the log is there again")
        node.stop()
        assert "probe ready" in old.read_text()


@case
def pipes_may_break_and_files_may_be_many():
    with probe("stay") as node:
        node.wait_log("probe ready")
        ignored = status_mask(node, "SigIgn")
        assert ignored & (1 << (signal.SIGPIPE - 1)), f"SIGPIPE is not ignored: {ignored:x}"
        limits = Path(f"/proc/{node.pid}/limits").read_text()
        soft, hard = re.search(r"^Max open files\s+(\S+)\s+(\S+)", limits, re.MULTILINE).groups()
        equal(soft, hard)


@case
def missing_standard_streams_are_made_up_for():
    with config(f'bootstrap = "boot_probe stay"\ncpath = "{BUILD}/test/cservice/?.so;'
                f'{BUILD}/cservice/?.so"\nharbor = 0\nthread = 1') as path:
        command = f"exec '{SKYNET}' '{path}' --set logger='{path.parent}/log' <&- >&- 2>&-"
        node = Process("sh", "-c", command)
        log = path.parent / "log"
        wait_until(lambda: log.exists() and "probe ready" in log.read_text(), "the log is written")
        for number in range(3):
            equal(os.readlink(f"/proc/{node.pid}/fd/{number}"), "/dev/null")
        node.stop()


@contextlib.contextmanager
def pipe_file():
    with config("") as path:
        pipe = path.parent / "pipe"
        os.mkfifo(pipe)
        yield pipe


def status_mask(node, field):
    return int(node._status_field(field), 16)  # pylint: disable=protected-access


def is_pending(node, number):
    return bool(status_mask(node, "ShdPnd") & (1 << (number - 1)))


main()
