"""Who is no node of the network, or should not be: bytes of any kind, connections that say nothing,
a wrong secret, another version, a second node of the same id. They are turned away with a reason
that can be read, and hurt nobody."""

import os
import re
import struct

import pipe
from harness import DEADLINE_S, SANITIZERS, case, main, wait_closed, wait_until
from sequence import HARBOR_PORT, MASTER_ID, SECRET, NetworkNode, Traffic, World, integer

CALM_S = 2 * DEADLINE_S
SILENT = 1000
MEMORY_SLACK_KB = (200 if SANITIZERS else 24) * 1024


def wait_connected(node, *others):
    """Waits until its links are there, so that it has all the descriptors that it needs."""
    for id in others:
        wait_until(lambda i=id: f"Node {i} connected" in node.text(), f"a link to node {id}")


class Watched:
    """Two nodes under traffic; at the end nothing may have failed. The stranger dials the first."""

    def __init__(self, count=2, **settings):
        self.world = World(count, harbor_timeout=CALM_S, **settings)
        self.node = self.world.nodes[0]
        self.host = self.world.hosts[0]
        self.traffic = Traffic(self.world.nodes[:2], senders=1)
        self.traffic.begin()
        self.traffic.wait_answers(20)
        wait_connected(self.node, 2, MASTER_ID)
        self.fds = self.node.fd_count()
        self.memory_kb = self.node.rss_kb()

    def dial(self):
        return self.world.network.switch.connect(HARBOR_PORT, self.host.address)

    def finish(self):
        self.traffic.wait_answers(50)
        self.node.wait_fds(self.fds)
        self.traffic.finish(loses=False)


def say_last(connection, data):
    """Sends what the other end closes the connection for, and waits for that."""
    try:
        connection.sendall(data)
    except ConnectionError:
        return  # it has not even heard all of it
    wait_closed(connection)


@case
def garbage_is_turned_away():
    watched = Watched()
    for junk in (os.urandom(4096), b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"\0" * 64,
                 pipe.preamble() + os.urandom(300),
                 pipe.preamble() + b"\xff\xff\x01" + b"x" * 100):
        connection = watched.dial()
        say_last(connection, junk)
    watched.finish()


@case
def another_version_is_told_in_words():
    watched = Watched()
    connection = watched.dial()
    connection.sendall(pipe.preamble(version=77) + pipe.record(pipe.HELLO, pipe.hello(2, 1)))
    kind, body = pipe.read_record(connection)
    assert kind == pipe.REFUSED and b"version" in body and b"77" in body, body
    wait_closed(connection)
    watched.node.wait_log("version 77")
    watched.finish()


@case
def a_stranger_without_the_secret_learns_and_changes_nothing():
    watched = Watched()
    connection = watched.dial()
    try:
        pipe.open_pipe(connection, "guessed", 2, 1)
    except AssertionError as error:
        assert "secret" in str(error), error
    else:
        raise AssertionError("it was let in")
    wait_closed(connection)
    watched.node.wait_log("secret")
    watched.finish()


@case
def half_a_handshake_is_waited_for_only_so_long():
    world = World(2, harbor_timeout=1)
    wait_connected(world.nodes[0], 2, MASTER_ID)
    fds = world.nodes[0].fd_count()
    whole = pipe.preamble() + pipe.record(pipe.HELLO, pipe.hello(2, 1))
    connections = []
    for size in (0, 1, 7, 8, 9, 11, 12, 40, len(whole) - 1, len(whole)):
        connection = world.network.switch.connect(HARBOR_PORT, world.hosts[0].address)
        connection.sendall(whole[:size])
        connections.append(connection)
    for connection in connections:
        wait_closed(connection)
    world.nodes[0].wait_fds(fds)


@case
def a_thousand_connections_that_say_nothing_hold_up_nobody():
    watched = Watched(wired={})
    silent = [watched.dial() for _ in range(SILENT)]
    watched.traffic.wait_answers(50)
    for wire in watched.world.wires:
        wire.reset()  # the nodes have to get in between them
    watched.traffic.wait_answers(50)
    grown_kb = watched.node.rss_kb() - watched.memory_kb
    assert grown_kb < MEMORY_SLACK_KB, f"{grown_kb} KB"
    for connection in silent:
        connection.close()
    watched.finish()


def open_as_second(world):
    """Somebody who knows the secret says he is the second node, which has ended: that is believed
    when its old session is over. Returns the connection."""
    def try_it():
        connection = world.network.switch.connect(HARBOR_PORT, world.hosts[0].address)
        try:
            pipe.open_pipe(connection, SECRET, 2, 1)
        except AssertionError as refusal:
            # Or it came as the old session ended, with all its connections.
            is_early = re.search("another process with the id 2 is|stream ended", str(refusal))
            assert is_early, refusal
            return None
        return connection
    return wait_until(try_it, "the stranger is let in")


def check_bad_frames(bad):
    """The stranger sends bytes that are no frames: the first node gives up that pipe, and nothing
    else."""
    world = World(3, harbor_timeout=CALM_S)
    traffic = Traffic([world.nodes[0], world.nodes[2]], senders=1)
    traffic.begin()
    traffic.wait_answers(20)
    world.nodes[1].kill()
    memory_kb = world.nodes[0].rss_kb()
    for junk in bad:
        say_last(open_as_second(world), junk)
    grown_kb = world.nodes[0].rss_kb() - memory_kb
    assert grown_kb < MEMORY_SLACK_KB, f"{grown_kb} KB"
    world.nodes[1] = world.nodes[1].again().wait_ready()
    traffic.wait_answers(50)
    traffic.finish(loses=False)
    echo = integer(world.nodes[1], 'return skynet.newservice("sequence_receiver")')
    call = f'return (pcall(skynet.call, {echo}, "lua", "report"))'
    wait_until(lambda: world.nodes[0].run(call) == "true", "the true second node is there again")


@case
def a_length_of_4_gb_ends_the_pipe():
    check_bad_frames([
        pipe.frame(pipe.MESSAGE, b"x" * 100, source=2 << 24 | 9, destination=1 << 24 | 9,
                   length=length)
        for length in (0xffffffff, 0x7fffffff, 1 << 20)])


@case
def frames_that_cannot_be_end_the_pipe():
    own, there = 2 << 24 | 9, 1 << 24 | 9
    check_bad_frames([
        pipe.frame(pipe.MESSAGE, length=0),
        pipe.frame(pipe.MESSAGE, length=15),
        pipe.frame(0),
        pipe.frame(99),
        pipe.frame(pipe.ACK, b"short"),
        pipe.frame(pipe.ACK, struct.pack(">Q", 1 << 60)),
        pipe.frame(pipe.PART, b"of nothing", source=own, destination=there),
        pipe.frame(pipe.MESSAGE, b"from another node", source=3 << 24 | 9, destination=there),
        pipe.frame(pipe.MESSAGE, b"for another node", source=own, destination=3 << 24 | 9),
        pipe.frame(pipe.MESSAGE, b"as the node itself", source=there, destination=there),
        os.urandom(100000),
    ])


@case
def a_node_with_another_secret_is_refused_and_says_so():
    watched = Watched()
    host = watched.world.network.host()
    stranger = NetworkNode(host, 9, watched.world.master_address, harbor_secret="guessed",
                           harbor_join_timeout=2)
    stranger.expect_status(1)
    stranger.wait()
    assert "secret" in stranger.text(), stranger.text()
    watched.finish()


@case
def the_second_node_of_an_id_ends_and_the_first_goes_on():
    watched = Watched()
    host = watched.world.network.host()
    second = NetworkNode(host, 2, watched.world.master_address)
    second.expect_status(1)
    second.wait()
    assert "2" in second.text() and watched.world.hosts[1].address in second.text(), second.text()
    watched.finish()


main()
