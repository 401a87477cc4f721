"""skynet.dns against a name server that is part of the test, and misbehaves as it is told."""

import socket
import struct
import threading

from evaluator import Client, Evaluator, failure
from harness import case, connect, free_port, main, wait_until

A, CNAME, AAAA = 1, 5, 28
NXDOMAIN, SERVFAIL = 3, 2
TRUNCATED = 0x0200
RESPONSE = 0x8180  # an answer, recursion wanted and there
# What a waiting case gives a resolver that is not going to answer, in 1/100 s.
SHORT_CS = 100


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def decode_name(data, offset):
    labels = []
    while data[offset]:
        labels.append(data[offset + 1 : offset + 1 + data[offset]].decode())
        offset += 1 + data[offset]
    return ".".join(labels), offset + 1


class Query:
    def __init__(self, data):
        (self.id,) = struct.unpack_from(">H", data)
        self.name, offset = decode_name(data, 12)
        (self.type,) = struct.unpack_from(">H", data, offset)
        self.question = data[12 : offset + 4]

    def answer(self, *records, flags=0, query_id=None):
        """records: (name, type, ttl, address or name)."""
        query_id = self.id if query_id is None else query_id
        head = struct.pack(">6H", query_id, RESPONSE | flags, 1, len(records), 0, 0)
        return head + self.question + b"".join(map(encode_record, records))


def encode_record(record):
    name, kind, ttl, value = record
    if kind == CNAME:
        data = encode_name(value)
    else:
        data = socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, value)
    return encode_name(name) + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


class Server:
    """A name server on a port of its own, UDP and TCP. handle(query, is_tcp) returns a list of the
    datagrams to send."""

    def __init__(self, handle):
        self.handle = handle
        self.queries = []  # (name, type, is_tcp) in their order
        self.port = free_port()  # for both: what the system hands out may be free for one only
        self._stream = socket.create_server(("127.0.0.1", self.port))
        self._datagram = socket.socket(type=socket.SOCK_DGRAM)
        self._datagram.bind(("127.0.0.1", self.port))
        self._threads = [
            threading.Thread(target=run, daemon=True)
            for run in (self._serve_datagrams, self._serve_streams)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        try:
            self._stream.shutdown(socket.SHUT_RDWR)
        finally:
            self._stream.close()
            # A thread inside recvfrom is woken by a datagram, not by close.
            with socket.socket(type=socket.SOCK_DGRAM) as waker:
                waker.sendto(b"", ("127.0.0.1", self.port))
            for thread in self._threads:
                thread.join(5)
            self._datagram.close()

    def _answers(self, data, is_tcp):
        query = Query(data)
        self.queries.append((query.name, query.type, is_tcp))
        return self.handle(query, is_tcp) or []

    def _serve_datagrams(self):
        while True:
            data, peer = self._datagram.recvfrom(4096)
            if not data:
                return
            for answer in self._answers(data, False):
                self._datagram.sendto(answer, peer)

    def _serve_streams(self):
        while True:
            try:
                connection, _ = self._stream.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                self._serve_stream(connection)

    def _serve_stream(self, connection):
        while True:
            try:
                head = connection.recv(2, socket.MSG_WAITALL)
                if len(head) < 2:
                    return
                size = struct.unpack(">H", head)[0]
                data = connection.recv(size, socket.MSG_WAITALL)
                for answer in self._answers(data, True):
                    connection.sendall(struct.pack(">H", len(answer)) + answer)
            except OSError:
                return


def node_for(server, hosts="", **settings):
    """A node whose service has loaded skynet.dns and asks this server."""
    node = Evaluator(**settings)
    (node.folder / "hosts").write_text(hosts)
    (node.folder / "resolv.conf").write_text("")  # no search list
    node.run(f"""
        dns = require "skynet.dns"
        dns.DEFAULT_HOSTS = "{node.folder}/hosts"
        dns.DEFAULT_RESOLV_CONF = "{node.folder}/resolv.conf"
        dns.server("127.0.0.1", {server.port})
    """)
    return node


def resolve(name, arguments=""):
    return f'local first, all = dns.resolve("{name}"{arguments}) return first, all'


def one_address(query, _is_tcp):
    """10.0.0.1 or fd00::1 for whatever is asked, for a minute."""
    value = "10.0.0.1" if query.type == A else "fd00::1"
    return [query.answer((query.name, query.type, 60, value))]


@case
def addresses_of_both_families_are_found():
    with Server(one_address) as server, node_for(server) as node:
        assert node.run(resolve("game.example.com")) == "10.0.0.1,10.0.0.1"
        assert node.run(resolve("game.example.com", ", true")) == "fd00::1,fd00::1"
        assert server.queries == [
            ("game.example.com", A, False),
            ("game.example.com", AAAA, False),
        ]


@case
def all_addresses_are_given_in_their_order_through_aliases():
    def handle(query, _is_tcp):
        return [
            query.answer(
                (query.name, CNAME, 60, "real.example.com"),
                ("real.example.com", A, 60, "10.0.0.9"),
                ("real.example.com", A, 60, "10.0.0.1"),
                ("real.example.com", A, 60, "10.0.0.9"),
            )
        ]

    with Server(handle) as server, node_for(server) as node:
        assert node.run(resolve("alias.example.com")) == "10.0.0.9,10.0.0.9 10.0.0.1"


@case
def an_answer_holds_for_its_time():
    ttl = 60

    def handle(query, _is_tcp):
        return [query.answer((query.name, A, ttl, "10.0.0.1"))]

    with Server(handle) as server, node_for(server) as node:
        for _ in range(3):
            node.run(resolve("game.example.com"))
            node.run(resolve("GAME.example.com"))
        assert len(server.queries) == 1
        node.run("dns.flush()")
        node.run(resolve("game.example.com"))
        assert len(server.queries) == 2
        ttl = 0
        for _ in range(2):
            node.run(resolve("other.example.com"))
        assert len(server.queries) == 4


@case
def the_shortest_time_of_an_answer_counts():
    def handle(query, _is_tcp):
        return [
            query.answer(
                (query.name, CNAME, 0, "real.example.com"),
                ("real.example.com", A, 60, "10.0.0.1"),
            )
        ]

    with Server(handle) as server, node_for(server) as node:
        node.run(resolve("alias.example.com"))
        node.run(resolve("alias.example.com"))
        assert len(server.queries) == 2


@case
def a_hundred_tasks_with_one_question_ask_once():
    release = threading.Event()

    def handle(query, is_tcp):
        release.wait(10)
        return one_address(query, is_tcp)

    with Server(handle) as server, node_for(server) as node:
        asker = node.client()
        asker.send("""
            local left, done, all = 100, {}, {}
            for i = 1, 100 do
                skynet.fork(function()
                    all[i] = dns.resolve("game.example.com")
                    left = left - 1
                    if left == 0 then
                        skynet.wakeup(done)
                    end
                end)
            end
            skynet.wait(done)
            return #all, all[1], all[100]
        """)
        wait_until(lambda: server.queries, "a query")
        release.set()
        assert asker.receive() == "100,10.0.0.1,10.0.0.1"
        assert len(server.queries) == 1


@case
def many_names_at_once_get_their_own_answers():
    def handle(query, _is_tcp):
        number = int(query.name.split(".")[0][1:])
        return [query.answer((query.name, A, 60, f"10.0.{number // 256}.{number % 256}"))]

    with Server(handle) as server, node_for(server) as node:
        count = node.run("""
            local left, done, right = 300, {}, 0
            for i = 1, 300 do
                skynet.fork(function()
                    local address = dns.resolve(("n%d.example.com"):format(i))
                    if address == ("10.0.%d.%d"):format(i // 256, i % 256) then
                        right = right + 1
                    end
                    left = left - 1
                    if left == 0 then
                        skynet.wakeup(done)
                    end
                end)
            end
            skynet.wait(done)
            return right
        """)
        assert count == "300"


@case
def a_name_that_is_not_there_raises_and_says_so():
    def handle(query, _is_tcp):
        return [query.answer(flags=NXDOMAIN)]

    with Server(handle) as server, node_for(server) as node:
        text = failure(node.run, resolve("nobody.example.com"))
        assert "timeout or no answer: nobody.example.com: Domain name not found" in text, text
        assert "chunk:1:" in text, text  # the caller is blamed


@case
def a_name_without_address_of_the_family_raises():
    def handle(query, _is_tcp):
        return [query.answer()]

    with Server(handle) as server, node_for(server) as node:
        assert "no data" in failure(node.run, resolve("empty.example.com", ", true"))


@case
def a_silent_server_is_given_up_in_time():
    with Server(lambda *_: []) as server, node_for(server) as node:
        text = failure(node.run, resolve("game.example.com", f", false, {SHORT_CS}"))
        assert "timeout or no answer: game.example.com: nothing within 1.00 s" in text, text


@case
def names_that_nobody_answers_hold_up_nothing():
    with Server(lambda *_: []) as server, node_for(server) as node:
        asker = node.client()
        asker.send("""
            for i = 1, 100 do
                skynet.fork(pcall, dns.resolve, ("n%d.example.com"):format(i))
            end
            return dns.resolve("last.example.com")
        """)
        wait_until(lambda: len(server.queries) > 100, "a hundred queries")
        for i in range(200):
            assert node.run(f"return {i}") == str(i)


@case
def a_server_that_answers_the_second_try_is_enough():
    def handle(query, is_tcp):
        return one_address(query, is_tcp) if len(server.queries) > 1 else []

    with Server(handle) as server, node_for(server) as node:
        assert node.run(resolve("game.example.com")) == "10.0.0.1,10.0.0.1"
        assert len(server.queries) == 2


@case
def a_stale_answer_is_better_than_none_but_not_than_no():
    replies = []

    def handle(query, _is_tcp):
        return replies.pop(0)(query) if replies else []

    def now(query):
        return [query.answer((query.name, A, 0, "10.0.0.1"))]

    def never(query):
        return [query.answer(flags=NXDOMAIN)]

    with Server(handle) as server, node_for(server) as node:
        ask = resolve("game.example.com", f", false, {SHORT_CS}")
        replies.append(now)
        assert node.run(ask) == "10.0.0.1,10.0.0.1"
        assert node.run(ask) == "10.0.0.1,10.0.0.1"  # the server is silent
        replies.append(never)
        assert "not found" in failure(node.run, ask.replace("false, 100", "false"))
        assert "nothing within" in failure(node.run, ask)


@case
def a_failing_server_raises_or_leaves_the_stale_answer():
    is_up = True

    def handle(query, is_tcp):
        return one_address(query, is_tcp) if is_up else [query.answer(flags=SERVFAIL)]

    with Server(handle) as server, node_for(server) as node:
        is_up = False
        assert "timeout or no answer" in failure(node.run, resolve("game.example.com"))
        is_up = True
        assert node.run(resolve("game.example.com")) == "10.0.0.1,10.0.0.1"


@case
def an_answer_that_is_cut_is_asked_for_again_over_tcp():
    def handle(query, is_tcp):
        if not is_tcp:
            return [query.answer(flags=TRUNCATED)]
        records = [(query.name, A, 60, f"10.0.{i // 256}.{i % 256}") for i in range(600)]
        return [query.answer(*records)]

    with Server(handle) as server, node_for(server) as node:
        count = node.run('local _, all = dns.resolve("big.example.com") return #all, all[600]')
        assert count == "600,10.0.2.87"
        assert [is_tcp for _, _, is_tcp in server.queries] == [False, True]


@case
def a_tcp_server_that_closes_is_no_endless_loop():
    def handle(query, is_tcp):
        if is_tcp:
            raise OSError("closes")
        return [query.answer(flags=TRUNCATED)]

    with Server(handle) as server, node_for(server) as node:
        text = failure(node.run, resolve("big.example.com", f", false, {SHORT_CS}"))
        assert "timeout or no answer" in text, text
        assert len(server.queries) < 100, len(server.queries)


@case
def garbage_and_foreign_answers_are_ignored():
    def handle(query, is_tcp):
        good = query.answer((query.name, A, 60, "10.0.0.1"))
        bad = query.answer((query.name, A, 60, "10.6.6.6"), query_id=query.id ^ 0x5555)
        return [b"\xff" * 7, bad, b"", bytes(600), good]

    with Server(handle) as server, node_for(server) as node:
        assert node.run(resolve("game.example.com")) == "10.0.0.1,10.0.0.1"


@case
def every_beginning_of_an_answer_leaves_the_service_alive():
    cut = 0

    def handle(query, _is_tcp):
        whole = query.answer((query.name, A, 60, "10.0.0.1"))
        return [whole[:cut], whole]

    with Server(handle) as server, node_for(server) as node:
        for cut in range(1, 62):
            # c-ares may take what is cut for an answer without any: both are right here.
            try:
                node.run(resolve(f"n{cut}.example.com"))
            except Exception as error:  # pylint: disable=broad-except
                assert "timeout or no answer" in str(error), error
        assert node.run("return 1") == "1"


@case
def a_closed_port_raises_soon():
    with Server(one_address) as server:
        pass
    with node_for(server) as node:
        assert "timeout or no answer" in failure(node.run, resolve("game.example.com"))


@case
def the_hosts_file_comes_first_and_is_read_once():
    hosts = """
        # a comment
        10.1.1.1  game.example.com  Game # another
        10.1.1.2  game
        fd00::2   game
        no.address game
        10.1.1.3
    """
    with Server(one_address) as server, node_for(server, hosts) as node:
        assert node.run(resolve("game.example.com")) == "10.1.1.1,10.1.1.1"
        assert node.run(resolve("game.example.com.")) == "10.1.1.1,10.1.1.1"
        assert node.run(resolve("GAME")) == "10.1.1.1,10.1.1.1 10.1.1.2"
        assert node.run(resolve("game", ", true")) == "fd00::2,fd00::2"
        assert server.queries == []
        (node.folder / "hosts").unlink()
        assert node.run(resolve("game")) == "10.1.1.1,10.1.1.1 10.1.1.2"
        node.run("dns.flush()")
        assert node.run(resolve("game.example.com")) == "10.0.0.1,10.0.0.1"


@case
def without_hosts_file_everything_is_asked():
    with Server(one_address) as server, node_for(server, "10.1.1.1 game.example.com") as node:
        node.run("dns.DEFAULT_HOSTS = nil")
        assert node.run(resolve("game.example.com")) == "10.0.0.1,10.0.0.1"


@case
def the_resolv_conf_of_the_service_names_the_servers():
    with Evaluator() as node:
        (node.folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1\n")
        node.run(f"""
            dns = require "skynet.dns"
            dns.DEFAULT_HOSTS = nil
            dns.DEFAULT_RESOLV_CONF = "{node.folder}/resolv.conf"
        """)
        # Whoever has port 53 here, if anybody: what counts is that the file is read, and that its
        # absence is no error.
        for path in ("resolv.conf", "absent"):
            node.run(f'dns.DEFAULT_RESOLV_CONF = "{node.folder}/{path}"')
            text = failure(node.run, resolve("game.invalid", ", false, 50"))
            assert "timeout or no answer" in text, text


@case
def the_search_list_counts_and_a_changed_file_is_seen():
    with Server(one_address) as server, node_for(server) as node:
        for domain in ("one.test", "two.test"):
            (node.folder / "resolv.conf").write_text(f"search {domain}\n")
            node.run("dns.flush()")
            node.run(resolve("game"))
            assert server.queries[-1][0] == f"game.{domain}", server.queries


@case
def numbers_are_their_own_answer_and_bad_names_are_none():
    with Server(one_address) as server, node_for(server) as node:
        assert node.run(resolve("127.0.0.1")) == "127.0.0.1,127.0.0.1"
        assert node.run(resolve("::1")) == "::1,::1"
        long_label = "x" * 64
        long_name = ".".join(["x" * 63] * 4)
        for name in ("", ".", "a..b", "a b", "a/b", "-\\0", "ä.de", long_label, long_name):
            assert node.run(resolve(name)) == "nil,illegal name", name
        assert server.queries == []


@case
def wrong_arguments_raise():
    with Server(one_address) as server, node_for(server) as node:
        for code, text in {
            "dns.resolve()": "'name': a string expected",
            "dns.resolve('x', nil, 0)": "'limit_cs': an integer in",
            "dns.server('localhost')": "'ip': a numeric address expected, got localhost",
            "dns.server('::1', 0)": "'port': an integer in 1..65535",
            "dns.server('::1', 'x')": "'port': an integer",
        }.items():
            got = failure(node.run, code)
            assert text in got and "chunk:1:" in got, got


@case
def another_server_answers_what_is_asked_from_then_on():
    def other(query, _is_tcp):
        return [query.answer((query.name, query.type, 60, "10.0.0.2"))]

    with Server(lambda *_: []) as silent, Server(other) as server, node_for(silent) as node:
        asker = node.client()
        asker.send(resolve("slow.example.com", f", false, {SHORT_CS}"))
        wait_until(lambda: silent.queries, "a query")
        node.run(f'dns.server("127.0.0.1", {server.port})')
        assert node.run(resolve("game.example.com")) == "10.0.0.2,10.0.0.2"
        assert "nothing within" in failure(asker.receive)


@case
def nothing_is_open_when_nothing_is_asked():
    with Server(one_address) as server, node_for(server) as node:
        node.run(resolve("warm.example.com"))
        base = node.fd_count()
        for i in range(20):
            node.run(resolve(f"n{i}.example.com"))
        node.wait_fds(base)


@case
def a_service_that_ends_while_it_asks_leaves_nothing():
    with Server(lambda *_: []) as server, node_for(server) as node:
        port = free_port()
        node.run(f'asker = skynet.newservice("evaluator", {port})')
        client = Client(connect(port))
        client.run(f"""
            dns = require "skynet.dns"
            dns.DEFAULT_HOSTS = nil
            dns.server("127.0.0.1", {server.port})
        """)
        base = node.fd_count()
        client.send(resolve("slow.example.com"))
        wait_until(lambda: server.queries, "a query")
        assert node.fd_count() > base
        node.run('require "skynet.manager" skynet.kill(asker)')
        node.wait_fds(base - 2)  # its listener and connection are gone, too


@case
def a_task_that_is_ended_while_it_asks_leaves_the_query_to_others():
    release = threading.Event()

    def handle(query, is_tcp):
        release.wait(10)
        return one_address(query, is_tcp)

    with Server(handle) as server, node_for(server) as node:
        node.run('task = skynet.fork(function() dns.resolve("game.example.com") end)')
        wait_until(lambda: server.queries, "a query")
        other = node.client()
        other.send(resolve("game.example.com"))
        node.run("skynet.killthread(task)")
        release.set()
        assert other.receive() == "10.0.0.1,10.0.0.1"
        assert len(server.queries) == 1


main()
