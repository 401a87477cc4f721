"""Sockets of a C service in a running node: both directions, ends, resets, peers that do not read,
and limits. The service (test/service-src/socket_probe.c) does what the test tells it."""

import os
import random
import resource
import socket
import struct
import threading

from harness import Node, case, connect, main, recv_exactly, wait_closed, wait_until


class Probe:
    """A node with a socket_probe in it, and the connection that controls it."""

    def __init__(self, **settings):
        self.node = Node(bootstrap="socket_probe", **settings)
        port = int(self.node.wait_log(r"control on (\d+)").group(1))
        self.control = connect(port)
        self._lines = self.control.makefile("r")
        self.base_fds = None

    def tell(self, command):
        self.control.sendall(command.encode() + b"\n")

    def expect(self, *words):
        """The next event begins with these words. Returns the words behind them."""
        line = self._lines.readline().split()
        expected = [str(word) for word in words]
        assert line[: len(expected)] == expected, f"told {line}, expected {expected}"
        return line[len(expected) :]

    def ask(self, command, *words):
        self.tell(command)
        return self.expect(*words)

    def listen(self, mode):
        """Opens a port. Returns its id and number."""
        ident, port = self.ask("listen", "listening")
        self.expect("connect", ident, 0, "start")
        self.tell(f"serve {ident} {mode}")
        self.settle()
        self.base_fds = self.node.fd_count()
        return int(ident), int(port)

    def settle(self):
        """All commands told so far have been executed."""
        self.ask("block 0", "blocked")

    def accepted(self, listener):
        """The id of the connection that comes next, in mode mute or sink."""
        ident, address = self.expect("accept", listener)
        assert address.startswith("127.0.0.1:"), address
        return int(ident)

    def infos(self):
        self.tell("info")
        found = {}
        while True:
            words = self.expect("info")
            if words == ["end"]:
                return found
            found[int(words[0])] = words[1:]

    def wait_fds(self):
        """All connections are gone, and their descriptors."""
        self.node.wait_fds(self.base_fds)


def reset(connection):
    """Ends a connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def pattern(count):
    """What the probe sends."""
    return (bytes(range(251)) * (count // 251 + 1))[:count]


# --- both directions -------------------------------------------------------------------------


@case
def much_data_goes_in_both_directions_at_once():
    probe = Probe()
    _, port = probe.listen("echo")
    client = connect(port)
    data = random.Random(7).randbytes(8 << 20)
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    assert recv_exactly(client, len(data)) == data
    sender.join()
    client.close()
    probe.wait_fds()


@case
def a_thousand_connections_talk_and_leave_nothing_behind():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    probe = Probe()
    _, port = probe.listen("echo")
    for _ in range(2):
        clients = [connect(port) for _ in range(1000)]
        for number, client in enumerate(clients):
            client.sendall(b"%06d" % number)
        for number, client in enumerate(clients):
            assert recv_exactly(client, 6) == b"%06d" % number
        for client in clients:
            client.close()
        probe.wait_fds()


@case
def many_requests_before_an_answer_are_all_answered_in_order():
    probe = Probe()
    _, port = probe.listen("echo")
    client = connect(port)
    expected = b""
    for number in range(2000):
        line = b"request %d\n" % number
        client.sendall(line)
        expected += line
    assert recv_exactly(client, len(expected)) == expected


@case
def a_node_connects_to_itself_by_number_and_by_name():
    probe = Probe()
    listener, port = probe.listen("mute")
    for host in ("127.0.0.1", "localhost"):
        (ident,) = probe.ask(f"connect {host} {port}", "connecting")
        ends = {tuple(probe.expect()) for _ in range(2)}
        (accept,) = [end for end in ends if end[0] == "accept"]
        assert ("connect", ident, "0", "127.0.0.1") in ends, ends
        assert accept[1] == str(listener)
        probe.tell(f"close {accept[2]}")
        assert {tuple(probe.expect()) for _ in range(2)} == {
            ("close", accept[2]),
            ("close", ident),
        }
        probe.tell(f"close {ident}")
    probe.settle()
    assert listener in probe.infos()


@case
def a_connection_that_fails_is_told_with_its_reason():
    probe = Probe()
    listener, port = probe.listen("mute")
    probe.tell(f"close {listener}")
    probe.expect("close", listener)
    (ident,) = probe.ask(f"connect 127.0.0.1 {port}", "connecting")
    probe.expect("error", ident, "Connection", "refused")
    (ident,) = probe.ask("connect bad..name 80", "connecting")
    probe.expect("error", ident, "cannot", "resolve", "bad..name:")


# --- ends ------------------------------------------------------------------------------------


@case
def after_the_clients_end_the_service_still_answers():
    probe = Probe()
    listener, port = probe.listen("sink")
    client = connect(port)
    ident = probe.accepted(listener)
    probe.expect("connect", ident, 0, "start")
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    probe.expect("data", ident, 8)
    probe.expect("close", ident)
    probe.ask(f"send {ident} 300000", "sent", ident, 0)
    probe.tell(f"close {ident}")
    assert wait_closed(client) == pattern(300000)
    probe.settle()  # and no second close was told
    probe.wait_fds()


@case
def close_sends_what_waits_and_says_so_at_once():
    probe = Probe()
    listener, port = probe.listen("sink")
    client = connect(port)
    ident = probe.accepted(listener)
    probe.expect("connect", ident, 0, "start")
    size = 20 << 20
    probe.tell(f"send {ident} {size}")
    while True:
        event = probe.expect()
        if event[0] == "sent":
            assert event[2] == "0"
            break
        assert event[0] == "warning"
    probe.tell(f"close {ident}")
    while True:
        event = probe.expect()
        if event[0] == "close":
            break
        assert event[0] == "warning"
    assert probe.infos()[ident][0] == "5"  # closing
    assert wait_closed(client) == pattern(size)
    wait_until(lambda: ident not in probe.infos(), "the socket has ended")
    probe.wait_fds()


@case
def a_reset_in_mid_write_is_an_error_and_a_close():
    probe = Probe()
    listener, port = probe.listen("sink")
    for _ in range(20):
        client = connect(port)
        ident = probe.accepted(listener)
        probe.expect("connect", ident, 0, "start")
        probe.tell(f"send {ident} {6 << 20}")
        client.recv(1000)
        reset(client)
        events = []
        while "sent" not in events or "close" not in events:
            events.append(probe.expect()[0])
        assert events.count("error") == 1 and events.count("close") == 1, events
        assert events.index("error") < events.index("close"), events
    probe.settle()
    probe.wait_fds()


@case
def a_client_that_sends_nothing_and_leaves_is_forgotten():
    probe = Probe()
    _, port = probe.listen("echo")
    for number in range(200):
        client = connect(port)
        if number % 2:
            client.close()
        else:
            reset(client)
    probe.wait_fds()


# --- limits ----------------------------------------------------------------------------------


@case
def a_client_that_does_not_read_is_dropped_at_the_limit():
    probe = Probe(socket_output_limit=4 << 20)
    listener, port = probe.listen("sink")
    client = connect(port)
    ident = probe.accepted(listener)
    probe.expect("connect", ident, 0, "start")
    probe.tell(f"send {ident} {100 << 20}")
    text = None
    while True:
        event = probe.expect()
        if event[0] == "sent":
            assert event[2] == "-1"
            break
        assert event[0] in ("warning", "error", "close"), event
        if event[0] == "error":
            text = " ".join(event[2:])
    while text is None or event[0] != "close":
        event = probe.expect()
        if event[0] == "error":
            text = " ".join(event[2:])
    assert "4194304 bytes" in text and "socket_output_limit" in text, text
    probe.wait_fds()
    client.close()


@case
def a_service_that_is_busy_does_not_read_on():
    probe = Probe(thread=2)
    listener, port = probe.listen("sink")
    client = connect(port)
    ident = probe.accepted(listener)
    probe.expect("connect", ident, 0, "start")
    probe.tell(f"pause {ident}")
    probe.settle()
    before_kb = probe.node.rss_kb()
    client.setblocking(False)
    sent = 0
    try:
        while True:
            sent += client.send(bytes(1 << 20))
    except BlockingIOError:
        pass  # the kernel takes no more
    assert probe.node.rss_kb() - before_kb < 2048
    probe.tell(f"start {ident}")
    probe.expect("connect", ident, 0, "start")
    got = 0
    while got < sent:
        (count,) = probe.expect("data", ident)
        got += int(count)
    assert got == sent


@case
def output_does_not_wait_for_a_busy_worker():
    probe = Probe(thread=1)
    listener, port = probe.listen("sink")
    client = connect(port)
    ident = probe.accepted(listener)
    probe.expect("connect", ident, 0, "start")
    size = 20 << 20
    probe.tell(f"send {ident} {size}")
    probe.tell("block 3000")
    # All of it comes, though the only worker is inside a callback meanwhile.
    assert recv_exactly(client, size) == pattern(size)
    client.close()


@case
def out_of_descriptors_clients_are_refused_and_others_go_on():
    probe = Probe(thread=2)
    listener, port = probe.listen("echo")
    old = connect(port)
    old.sendall(b"old")
    assert recv_exactly(old, 3) == b"old"
    probe.tell(f"limit {probe.node.fd_count()}")
    probe.settle()
    for _ in range(3):
        clients = [connect(port) for _ in range(50)]
        for client in clients:
            assert wait_closed(client) == b""
            client.close()
    old.sendall(b"still here")
    assert recv_exactly(old, 10) == b"still here"
    probe.tell("limit 10000")
    probe.tell("block 0")
    event = probe.expect()
    while event[0] == "error":  # told about the listener, at most once a second
        assert event[1:] == [str(listener), "Too", "many", "open", "files"], event
        event = probe.expect()
    assert event == ["blocked"]
    new = connect(port)
    new.sendall(b"new")
    assert recv_exactly(new, 3) == b"new"


@case
def a_node_ends_while_sockets_are_busy():
    probe = Probe()
    _, port = probe.listen("echo")
    clients = [connect(port) for _ in range(50)]
    for client in clients:
        client.sendall(os.urandom(100000))
    probe.tell("connect host.example.invalid 80")
    probe.node.stop()
    for client in clients:
        wait_closed(client)


@case
def a_service_that_ends_closes_its_sockets():
    probe = Probe()
    listener, port = probe.listen("sink")
    client = connect(port)
    probe.accepted(listener)
    probe.node.expect_status(1)  # it was the only service
    probe.tell("exit")
    assert wait_closed(client) == b""
    wait_closed(probe.control)
    probe.node.wait()


main()
