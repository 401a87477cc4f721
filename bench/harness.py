"""What all benchmarks share: processes that report, repetitions in turn, medians, the result line.

A program or node reports by a line "RESULT key=value..." on its standard output; a server that is
ready to be used prints "READY". The sides of a comparison (ours, the limit, a peer) take turns, so
that what else happens on the machine hits all of them.
"""
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# One repetition takes about a second; what takes this long hangs, also under a sanitizer.
DEADLINE_S = 120

CONFIG = """\
thread = {thread}
harbor = 0
cpath = "{build}/cservice/?.so;{programs}/?.so"
luaservice = "{top}/service/?.lua;{top}/bench/lua/?.lua"
lualoader = "{top}/lualib/loader.lua"
lua_path = "{top}/lualib/?.lua;{top}/lualib/?/init.lua;{top}/bench/lua/?.lua"
lua_cpath = "{build}/luaclib/?.so"
logger = "{directory}/node.log"
bench_page = {page}
"""

_running = []


class BenchError(Exception):
    """A benchmark could not produce its figure; the text says why."""


def end_all_processes():
    for process in list(_running):
        process.kill()


def machine_seconds():
    """CPU seconds of the whole machine since it started: (used, all), or None."""
    try:
        with open("/proc/stat") as file:
            ticks = [int(word) for word in file.readline().split()[1:9]]
    except OSError:
        return None
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK"), sum(ticks) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    """CPU seconds of this process and all it has started."""
    total = sum(process.cpu_seconds() for process in _running)
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


class OthersWatch:
    """How much of the machine's CPU time others have used since the watch was made."""

    def __init__(self):
        self.machine, self.own = machine_seconds(), own_seconds()

    def share(self):
        now = machine_seconds()
        if now is None or now[1] <= self.machine[1]:
            return None
        others = (now[0] - self.machine[0]) - (own_seconds() - self.own)
        return max(0.0, others / (now[1] - self.machine[1]))


def parse_result(line):
    return {key: float(value) for key, value in
            (word.split("=", 1) for word in line.split()[1:])}


def tail_of(path, lines=5):
    try:
        with open(path, errors="replace") as file:
            return " | ".join(line.strip() for line in file.readlines()[-lines:])
    except OSError:
        return ""


class Process:
    """A program whose output lines are collected; it is ended when the benchmark is over."""

    def __init__(self, arguments, **options):
        self.name = os.path.basename(arguments[0])
        self.errors = tempfile.TemporaryFile("w+")
        self.lines = []
        self.changed = threading.Condition()
        self.has_ended_output = False
        try:
            self.child = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=self.errors,
                                          text=True, errors="replace", **options)
        except OSError as error:
            raise BenchError(f"cannot run {arguments[0]}: {error.strerror}; build it first") \
                from error
        self.pid = self.child.pid
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        _running.append(self)

    def _read(self):
        for line in self.child.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.has_ended_output = True
            self.changed.notify_all()

    def _line(self, word):
        return next((line for line in self.lines if line.split(" ")[0] == word), None)

    def explain(self):
        """What the process said about its trouble, as one piece of text."""
        self.errors.seek(0)
        said = " | ".join(self.errors.read().strip().splitlines()[-5:])
        return f" ({said})" if said else ""

    def wait_for(self, word):
        """Waits for a line that begins with the word; returns it."""
        deadline = time.monotonic() + DEADLINE_S
        with self.changed:
            while self._line(word) is None:
                left = deadline - time.monotonic()
                if self.has_ended_output:
                    raise BenchError(f"{self.name} ended without {word}{self.explain()}")
                if left <= 0:
                    raise BenchError(f"no {word} from {self.name} in {DEADLINE_S} s"
                                     f"{self.explain()}")
                self.changed.wait(left)
            return self._line(word)

    def wait_end(self):
        """Waits until the process has ended by itself, with status 0."""
        try:
            status = self.child.wait(DEADLINE_S)
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"{self.name} did not end in {DEADLINE_S} s{self.explain()}") \
                from error
        self._end_with(status, (0,))

    def _end_with(self, status, allowed):
        said = "" if status in allowed else self.explain()
        self._forget()
        if status not in allowed:
            raise BenchError(f"{self.name} ended with status {status}{said}")

    def result(self):
        figures = parse_result(self.wait_for("RESULT"))
        self.wait_end()
        return figures

    def stop(self):
        """Asks the process to end, and waits."""
        self.child.send_signal(signal.SIGTERM)
        try:
            status = self.child.wait(DEADLINE_S)
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"{self.name} did not end on SIGTERM{self.explain()}") from error
        self._end_with(status, (0, -signal.SIGTERM))

    def kill(self):
        self.child.kill()
        self.child.wait()
        self._forget()

    def _forget(self):
        if self in _running:
            _running.remove(self)
        self.reader.join()
        self.child.stdout.close()
        self.errors.close()

    def cpu_seconds(self):
        try:
            with open(f"/proc/{self.pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            return 0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def context_switches(self):
        """Of all its threads since they began, voluntary or not."""
        total = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/status") as file:
                total += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
        return total


class Node(Process):
    """A skynet daemon with a config of its own; each further key goes into that config."""

    def __init__(self, setup, **keys):
        self.directory = tempfile.TemporaryDirectory(prefix="skynet-bench-")
        path = os.path.join(self.directory.name, "config.lua")
        thread = keys.pop("thread", 2)
        with open(path, "w") as file:
            file.write(CONFIG.format(thread=thread, build=setup.build, programs=setup.programs,
                                     top=TOP, directory=self.directory.name,
                                     page=os.sysconf("SC_PAGESIZE")))
            for key, value in keys.items():
                file.write(f"{key} = {value!r}\n" if isinstance(value, (int, float))
                           else f'{key} = "{value}"\n')
        super().__init__([os.path.join(setup.build, "skynet"), path], cwd=TOP)

    def explain(self):
        log = tail_of(os.path.join(self.directory.name, "node.log"))
        return super().explain() + (f"; its log ends: {log}" if log else "")

    def _forget(self):
        super()._forget()
        self.directory.cleanup()


class Setup:
    """Where the programs are, and how long to measure."""

    def __init__(self, quick, peers, repetitions, seconds):
        self.quick = quick
        self.peers = peers
        self.repetitions = repetitions or (1 if quick else 5)
        self.seconds = seconds or (0.05 if quick else 1)
        self.build = os.path.abspath(os.environ.get("SKYNET_BUILD") or TOP)
        self.programs = os.path.join(TOP, "build/bench")

    def prepare(self):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        make = subprocess.run(["make", "-s", "-f", "bench/bench.mk", "bench-programs",
                               f"BENCH_OUT={self.programs}"], cwd=TOP, check=False)
        if make.returncode != 0:
            raise BenchError("cannot build the programs of the benchmarks, see above")
        if not os.access(os.path.join(self.build, "skynet"), os.X_OK):
            raise BenchError(f"no executable skynet in {self.build}: run make first, or set "
                             "SKYNET_BUILD to the directory that has it")
        if self.peers:
            self._prepare_erlang()

    def _prepare_erlang(self):
        if shutil.which("erlc") is None or shutil.which("erl") is None:
            raise BenchError("PEERS=1 needs erl and erlc: install the package erlang-base")
        source = os.path.join(TOP, "bench/peer/bench_peer.erl")
        if subprocess.run(["erlc", "-o", self.programs, source], check=False).returncode != 0:
            raise BenchError("cannot compile bench/peer/bench_peer.erl, see above")

    def sized(self, full, quick):
        return quick if self.quick else full


class Bench:
    """One benchmark while it runs: starts its processes, takes turns, prints its lines."""

    def __init__(self, setup, name):
        self.setup = setup
        self.name = name
        self.ms = max(1, round(setup.seconds * 1000))
        self.others = None

    def node(self, **keys):
        return Node(self.setup, **keys)

    def program(self, name, *arguments, **options):
        return Process([os.path.join(self.setup.programs, name), *map(str, arguments)], **options)

    def run_node(self, **keys):
        """Of a node that measures, reports and ends itself."""
        return lambda: self.node(**keys).result()

    def run_program(self, name, *arguments):
        return lambda: self.program(name, *arguments).result()

    def erlang(self, *arguments):
        """Sides of a comparison: Erlang's, or none without PEERS."""
        if not self.setup.peers:
            return {}
        command = ["erl", "-noshell", "-pa", self.setup.programs, "-s", "bench_peer", "main"]
        return {"erlang": lambda: Process(command + list(map(str, arguments))).result()}

    def compare(self, sides, repetitions=None):
        """Runs the sides in turn; returns for each the medians of its figures, and the spread."""
        rows = {side: [] for side in sides}
        watch = OthersWatch()
        for _ in range(repetitions or self.setup.repetitions):
            for side, run in sides.items():
                rows[side].append(run())
        self.others = watch.share()
        figures = {}
        for side, results in rows.items():
            figures[side] = {key: statistics.median(r[key] for r in results) for key in results[0]}
            rates = [r["per_s"] for r in results if "per_s" in r]
            if rates and min(rates) <= 0:
                raise BenchError(f"{side} did nothing")
            if rates:
                middle = statistics.median(rates)
                figures[side]["spread"] = (max(rates) - min(rates)) / middle
        return figures

    def compare_rates(self, unit, settings, sides, targets, extra=()):
        """The usual comparison: per_s of all sides. extra: further figures, as "side.key"."""
        figures = self.compare(sides)
        ours = figures["ours"]["per_s"]
        line = {"ours": ours}
        for side, label in (("limit", "of_limit"), ("erlang", "vs_erlang"),
                            ("gen_server", "vs_gen_server")):
            if side in figures:
                line[side] = figures[side]["per_s"]
                line[label] = ours / line[side]
        for name in extra:
            side, key = name.split(".")
            line[key if side == "ours" else f"{side}_{key}"] = figures[side][key]
        line["spread"] = figures["ours"]["spread"]
        self.print({"unit": unit, **settings}, line, targets)

    def print(self, settings, figures, targets):
        """targets: {figure: (">=" or "<=", bound)}; a side that did not run is left out."""
        words = [f"{key}={value}" for key, value in settings.items()]
        words += [f"{key}={short(value)}" for key, value in figures.items()]
        words += [] if self.others is None else [f"others={self.others:.2f}"]
        if not self.setup.quick:
            words += judge(figures, targets)
        print("bench", self.name, *words, flush=True)


def short(value):
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def judge(figures, targets):
    here = {key: target for key, target in targets.items() if key in figures}
    if not here:
        return []
    met = all(figures[key] >= bound if sign == ">=" else figures[key] <= bound
              for key, (sign, bound) in here.items())
    wanted = ",".join(f"{key}{sign}{short(bound)}" for key, (sign, bound) in here.items())
    return [f"target={wanted}", f"met={'yes' if met else 'NO'}"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def usable_cpus():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
