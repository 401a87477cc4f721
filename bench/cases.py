"""The benchmarks. ALL maps their names to functions; bench/README.md says what each measures."""
import os
import subprocess
import tempfile
import time

from harness import BenchError, free_port, usable_cpus

ALL = {}

THREADS = 2
PAYLOAD = 64


def ready(process):
    process.wait_for("READY")
    return process


def benchmark(function):
    ALL[function.__name__] = function
    return function


@benchmark
def core_pair(b):
    b.compare_rates("messages/s", {"thread": THREADS, "payload": 0}, {
        "ours": b.run_node(thread=THREADS, bootstrap=f"bench_pair {b.setup.seconds}"),
        "limit": b.run_program("limit_core", "pair", b.setup.seconds),
        **b.erlang("pair", b.ms),
    }, {"ours": (">=", 15e6), "vs_erlang": (">=", 3)})


@benchmark
def core_ring(b):
    for tokens in (1, 100):
        b.compare_rates("hops/s", {"thread": THREADS, "services": 1000, "tokens": tokens}, {
            "ours": b.run_node(thread=THREADS, bootstrap=f"bench_ring {tokens} {b.setup.seconds}"),
            "limit": b.run_program("limit_core", "ring", b.setup.seconds),
            **b.erlang("ring", tokens, b.ms),
        }, {"vs_erlang": (">=", 1.5)} if tokens == 100 else {})


@benchmark
def multicast(b):
    members, size = b.setup.sized(10000, 100), 65536
    b.compare_rates("deliveries/s", {"thread": THREADS, "members": members, "bytes": size}, {
        "ours": b.run_node(thread=THREADS,
                           bootstrap=f"bench_multicast {members} {size} {b.setup.seconds}"),
        "limit": b.run_program("limit_core", "fanout", b.setup.seconds),
    }, {"ours": (">=", 5e6), "packets": ("<=", 1)}, ("ours.packets", "ours.grown_mb"))


def gen_server(b, pairs):
    sides = b.erlang("gen_server", pairs, b.ms)
    return {"gen_server": sides["erlang"]} if sides else {}


@benchmark
def lua_call(b):
    for pairs, target in ((1, 1.5e6), (64, 2.5e6)):
        b.compare_rates("calls/s", {"thread": THREADS, "pairs": pairs}, {
            "ours": b.run_node(thread=THREADS, start="bench_call", bench_pairs=pairs,
                               bench_seconds=b.setup.seconds),
            "limit": b.run_program("limit_lua", "call", b.setup.seconds),
            **b.erlang("call", pairs, b.ms),
            **gen_server(b, pairs),
        }, {"ours": (">=", target)})


# Bytes in front of a message between nodes.
LINK_HEADER = 20


class TwoNodes:
    """Two nodes on loopback: the first has the master and bench_remote, others come and measure."""

    def __init__(self, b):
        self.b = b
        self.master = f"127.0.0.1:{free_port()}"
        self.first = ready(b.node(thread=THREADS, start="bench_remote", harbor=1,
                                  address="127.0.0.1:0", master=self.master,
                                  standalone=self.master))

    def run(self, start, **keys):
        """Of one that measures, reports and ends itself."""
        def second():
            node = self.b.node(thread=THREADS, start=start, harbor=2, address="127.0.0.1:0",
                               master=self.master, bench_seconds=self.b.setup.seconds, **keys)
            try:
                return node.result()
            except BenchError as error:
                raise BenchError(f"{error}; the first node{self.first.explain()}") from error
        return second

    def stop(self):
        self.first.stop()


@benchmark
def nodes_call(b):
    nodes, size = TwoNodes(b), LINK_HEADER + 4
    for window in (1, 64):
        figures = b.compare({
            "ours": nodes.run("bench_remote_call", bench_window=window),
            "limit": b.run_program("limit_tcp", "call", window, size, b.setup.seconds),
            **b.erlang("remote_call", window, b.ms),
        })
        rates = {side: row["per_s"] for side, row in figures.items()}
        line = {**rates, "times_limit": rates["limit"] / rates["ours"],
                "us": window * 1e6 / rates["ours"]}
        if "erlang" in rates:
            line["vs_erlang"] = rates["ours"] / rates["erlang"]
        b.print({"unit": "calls/s", "thread": THREADS, "window": window},
                {**line, "spread": figures["ours"]["spread"]},
                {"times_limit": ("<=", 1.6)} if window == 1 else {"ours": (">=", 150e3)})
    nodes.stop()


@benchmark
def nodes_send(b):
    nodes, batch = TwoNodes(b), 1000
    for producers in (0, 1, 4):
        b.compare_rates("messages/s", {"thread": THREADS, "payload": PAYLOAD,
                                       "sender": f"lua*{producers}" if producers else "c"}, {
            "ours": nodes.run("bench_remote_send", bench_producers=producers, bench_batch=batch),
            "limit": b.run_program("limit_tcp", "send", LINK_HEADER + PAYLOAD, b.setup.seconds),
            **b.erlang("remote_send", max(producers, 1), batch, b.ms),
        }, {"ours": (">=", 600e3)})
    nodes.stop()


@benchmark
def lua_fanin(b):
    producers, batch = 8, 1000
    b.compare_rates("messages/s", {"thread": THREADS, "producers": producers, "batch": batch}, {
        "ours": b.run_node(thread=THREADS, start="bench_fanin", bench_producers=producers,
                           bench_batch=batch, bench_seconds=b.setup.seconds),
        "limit": b.run_program("limit_lua", "send", b.setup.seconds),
        **b.erlang("fanin", producers, batch, b.ms),
    }, {"ours": (">=", 2.5e6)})


@benchmark
def lua_ring(b):
    services = 1000
    for tokens, target in ((1, 1.5e6), (100, 3e6)):
        b.compare_rates("hops/s", {"thread": THREADS, "services": services, "tokens": tokens}, {
            "ours": b.run_node(thread=THREADS, start="bench_ring_lua", bench_services=services,
                               bench_tokens=tokens, bench_seconds=b.setup.seconds),
            "limit": b.run_program("limit_lua", "ring", b.setup.seconds),
            **b.erlang("ring", tokens, b.ms),
        }, {"ours": (">=", target)})


@benchmark
def lua_pack(b):
    b.compare_rates("round trips/s", {"thread": 1}, {
        "ours": b.run_node(thread=1, start="bench_pack", bench_seconds=b.setup.seconds),
        "limit": b.run_program("limit_lua", "build", b.setup.seconds),
    }, {"ours": (">=", 0.86e6)})


@benchmark
def launch(b):
    services = b.setup.sized(2000, 50)
    b.compare_rates("services/s", {"thread": THREADS, "services": services}, {
        "ours": b.run_node(thread=THREADS, start="bench_launch", bench_services=services),
        "limit": b.run_program("limit_lua", "launch", services),
    }, {"ours": (">=", 10e3), "kb_each": ("<=", 34)}, ("ours.kb_each", "limit.kb_each"))


@benchmark
def launch_churn(b):
    services, rounds = b.setup.sized(10000, 50), b.setup.sized(10, 2)
    figures = b.compare({
        "ours": b.run_node(thread=THREADS, start="bench_launch_churn", bench_services=services,
                           bench_rounds=rounds)}, repetitions=1)["ours"]
    del figures["spread"]
    b.print({"unit": "times", "thread": THREADS, "services": services, "rounds": rounds},
            {"ours": figures.pop("down"), "limit": 1, **figures},
            {"ours": ("<=", 1.05), "up": ("<=", 1.05)})


@benchmark
def timer(b):
    timers = b.setup.sized(1000000, 20000)
    for pending, spread in ((timers, 10), (timers // 10, 1)):
        b.compare_rates("timeouts/s", {"timers": timers, "pending": pending}, {
            "ours": b.run_node(thread=THREADS, start="bench_timer", bench_timers=timers,
                               bench_pending=pending, bench_spread=spread),
            "limit": b.run_program("limit_lua", "timer", pending),
        }, {"ours": (">=", 1e6)}, ("ours.create_per_s",))


@benchmark
def fanout_latency(b):
    cores = usable_cpus()
    rounds = b.setup.sized(40, 3)
    figures = b.compare({
        "ours": b.run_node(thread=cores, start="bench_fanout", bench_services=cores,
                           bench_rounds=rounds),
        "limit": b.run_program("limit_fanout", cores, rounds)})
    ours, limit = figures["ours"], figures["limit"]
    b.print({"unit": "times", "thread": cores, "services": cores},
            {"ours": ours["times"], "limit": limit["times"], "alone_us": ours["alone_us"],
             "all_us": ours["all_us"]}, {"ours": ("<=", 1.3)})


def echo_case(b, kind, start_server, target_of, bare=("limit_echo",), mode="echo"):
    port, limit_port = free_port(), free_port()
    server = ready(start_server(port))
    limit = ready(b.program(bare[0], limit_port, *bare[1:]))
    for connections, window in ((1, 1), (10, 1), (200, 1), (100, 16)):
        def load(at):
            return b.run_program("load", mode, at, connections, window, PAYLOAD,
                                 b.setup.seconds)
        try:
            b.compare_rates("requests/s", {
                "server": kind, "thread": THREADS, "payload": PAYLOAD,
                "connections": connections, "window": window,
            }, {"ours": load(port), "limit": load(limit_port)}, target_of(connections, window),
                ("ours.p50_us", "ours.p99_us", "limit.p50_us", "limit.p99_us"))
        except BenchError as error:
            raise BenchError(f"{error}{server.explain()}") from error
    server.stop()
    limit.kill()


def agent_target(connections, window):
    if window > 1:
        return {"ours": (">=", 500e3)}
    return {"of_limit": (">=", 0.7)} if connections > 1 else {}


@benchmark
def echo(b):
    echo_case(b, "c", lambda port: b.node(thread=THREADS, bootstrap=f"bench_echo {port}"),
              lambda connections, window: {"of_limit": (">=", 0.9)})
    echo_case(b, "gate+agent", lambda port: b.node(thread=THREADS, start="bench_echo_watchdog",
                                                   bench_port=port), agent_target)


def socket_target(connections, window):
    if window > 1:
        return {"ours": (">=", 400e3)}
    return {"of_limit": (">=", 0.65)} if connections > 1 else {}


@benchmark
def socket_echo(b):
    echo_case(b, "skynet.socket", lambda port: b.node(thread=THREADS, start="bench_socket_echo",
                                                      bench_port=port), socket_target)


@benchmark
def tls_echo(b):
    with tempfile.TemporaryDirectory(prefix="skynet-bench-") as folder:
        file = f"{folder}/server.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=bench", "-keyout", f"{folder}/key.pem",
             "-out", file], check=True, stderr=subprocess.DEVNULL)
        with open(file, "a", encoding="ascii") as both, \
                open(f"{folder}/key.pem", encoding="ascii") as key:
            both.write(key.read())
        echo_case(b, "c",
                  lambda port: b.node(thread=THREADS, bootstrap=f"bench_echo {port} {file}"),
                  lambda connections, window: {"of_limit": (">=", 0.6)},
                  ("limit_tls", file), "tls_echo")


@benchmark
def framing(b):
    for connections, window in ((10, 1), (100, 16)):
        ports = {name: free_port() for name in ("u16be", "line", "websocket")}
        nodes = [ready(b.node(thread=THREADS, bootstrap=f"bench_framing {port} {name}"))
                 for name, port in ports.items()]
        figures = b.compare({
            name: b.run_program("load", "echo", port, connections, window, PAYLOAD,
                                b.setup.seconds, name)
            for name, port in ports.items()
        })
        rates = {name: figures[name]["per_s"] for name in ports}
        b.print({"unit": "requests/s", "thread": THREADS, "payload": PAYLOAD,
                 "connections": connections, "window": window}, {
            **rates,
            "line_of_u16be": rates["line"] / rates["u16be"],
            "websocket_of_u16be": rates["websocket"] / rates["u16be"],
            "spread": figures["u16be"]["spread"],
        }, {"line_of_u16be": (">=", 0.9), "websocket_of_u16be": (">=", 0.9)})
        for node in nodes:
            node.stop()


@benchmark
def connect(b):
    count = b.setup.sized(8000, 200)

    def ours():
        port = free_port()
        node = ready(b.node(thread=THREADS, bootstrap=f"bench_gate {port} {count}"))
        before = node.resident_bytes()
        client = b.program("load", "connect", port, count, stdin=subprocess.PIPE)
        begin = client.wait_for("RESULT").split()[1].split("=")[1]
        end = node.wait_for("RESULT").split()[1].split("=")[1]
        memory = node.resident_bytes() - before
        client.child.stdin.close()
        client.wait_end()
        node.stop()
        return {"seconds": (int(end) - int(begin)) / 1e9, "bytes_each": memory / count}

    def limit():
        port = free_port()
        server = ready(b.program("limit_echo", port))
        client = b.program("load", "connect", port, count, stdin=subprocess.PIPE)
        result = client.wait_for("RESULT")
        client.child.stdin.close()
        client.wait_end()
        server.kill()
        return {"seconds": float(result.split("seconds=")[1])}

    figures = b.compare({"ours": ours, "limit": limit})
    b.print({"unit": "s", "thread": THREADS, "connections": count}, {
        "ours": figures["ours"]["seconds"], "limit": figures["limit"]["seconds"],
        "bytes_each": figures["ours"]["bytes_each"],
    }, {"ours": ("<=", 2), "bytes_each": ("<=", 1024)})


@benchmark
def broadcast(b):
    count, size = b.setup.sized(10000, 100), 200

    def measure(server, port, end):
        client = b.program("load", "drain", port, count, size)
        each = float(server.wait_for("RESULT").split("ns_each=")[1])
        end()
        client.wait_end()
        return {"ns_each": each}

    def ours():
        port = free_port()
        node = ready(b.node(thread=THREADS, bootstrap=f"bench_broadcast {port} {count} {size} "
                                                      f"{b.setup.seconds}"))
        return measure(node, port, node.stop)

    def limit():
        port = free_port()
        server = ready(b.program("limit_broadcast", port, count, size, b.setup.seconds))
        return measure(server, port, server.wait_end)

    figures = b.compare({"ours": ours, "limit": limit})
    each, bare = figures["ours"]["ns_each"], figures["limit"]["ns_each"]
    b.print({"unit": "ns", "thread": THREADS, "connections": count, "bytes": size},
            {"ours": each, "limit": bare, "of_limit": each / bare}, {"of_limit": ("<=", 2)})


@benchmark
def idle_connections(b):
    count = b.setup.sized(15000, 200)

    def run(idle):
        port = free_port()
        node = ready(b.node(thread=THREADS, bootstrap=f"bench_echo {port}"))
        load = b.run_program("load", "echo", port, 1, 1, PAYLOAD, b.setup.seconds)
        before = node.resident_bytes()
        client = b.program("load", "connect", port, idle, stdin=subprocess.PIPE)
        client.wait_for("RESULT")
        load()  # so that the last one was accepted
        memory = node.resident_bytes() - before
        figures = load()
        client.child.stdin.close()
        client.wait_end()
        node.stop()
        return {**figures, "bytes_each": memory / idle}

    figures = b.compare({"ours": lambda: run(count), "alone": lambda: run(1)})
    ours, alone = figures["ours"], figures["alone"]
    b.print({"unit": "us", "thread": THREADS, "connections": count}, {
        "p50_us": ours["p50_us"], "p99_us": ours["p99_us"], "alone_p50_us": alone["p50_us"],
        "alone_p99_us": alone["p99_us"], "p50_ratio": ours["p50_us"] / alone["p50_us"],
        "p99_ratio": ours["p99_us"] / alone["p99_us"], "bytes_each": ours["bytes_each"],
    }, {"p50_ratio": ("<=", 1.2), "p99_ratio": ("<=", 1.2), "bytes_each": ("<=", 1024)})


@benchmark
def idle(b):
    services, threads = b.setup.sized(1000, 50), 8
    seconds = b.setup.sized(2, 0.2)

    def ours():
        node = ready(b.node(thread=threads, start="bench_idle", bench_services=services))
        # What the start left behind (other services that still end) is over after this.
        time.sleep(b.setup.sized(1, 0.1))
        before, begin = node.context_switches(), time.monotonic()
        time.sleep(seconds)
        switches = node.context_switches() - before
        elapsed = time.monotonic() - begin
        node.stop()
        return {"ours": switches / elapsed}

    figures = b.compare({"ours": ours})["ours"]
    b.print({"unit": "switches/s", "thread": threads, "services": services},
            {**figures, "limit": 0}, {"ours": ("<=", 2)})
