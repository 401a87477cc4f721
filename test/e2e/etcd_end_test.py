"""Nodes whose registry is an etcd, and how they end: whatever happens then, their place is
free at once. Their leases would not run out during a test."""

import signal
import tempfile
from pathlib import Path

from etcd_cluster import Cluster, make_certificate
from etcd_fake import Holder, unread
from harness import case, main, wait_until
from nodes import LocalNetwork

LONG_S = 3600

# Keeps the only worker until the node ends, and then until the test says so.
KEEP_WORKER = """
local function is_marked(name)
	local file = io.open("{0}/" .. name)
	return file and file:close()
end
local function mark(name)
	assert(io.open("{0}/" .. name, "w")):close()
end
mark("busy")
while skynet.localname(".cslave") do
	if is_marked("free") then
		return
	end
end
mark("killed")
while not is_marked("go") do
end
"""
REGISTER = 'skynet.call(".cslave", "lua", "REGISTER", "{}", skynet.self())'


def begin(cluster, proxy, **settings):
    """A node that speaks with etcd through the proxy."""
    url = cluster.url().replace(str(cluster.ports[0]), str(proxy.port))
    network = LocalNetwork(master=url, standalone=None, harbor_timeout=LONG_S)
    return network.begin(1, **settings)


def wait_file(path):
    wait_until(path.exists, path.name)


def wait_left(cluster):
    """Waits until nothing hangs on the node's lease any more."""
    wait_until(lambda: not cluster.get("/test/node/"), "its place is free")
    assert not cluster.get("/test/name/")


def have_one_connection(node, proxy):
    """Has the node have one connection for requests, besides that of its watch."""
    for number in range(20):
        before = proxy.connections
        proxy.cut()
        node.run(REGISTER.format(f"FIRST{number}"))
        if proxy.connections == before + 2:
            return
    raise AssertionError("it makes more than two connections")


def wait_for_answers(node, proxy):
    """Has the node wait for an answer there, and have the next message of its watch held, too."""
    have_one_connection(node, proxy)
    proxy.hold()
    node.client().send(REGISTER.format("SECOND"))
    wait_until(lambda: len(proxy.held) >= 2, "two answers are held")


def keep_worker(node, proxy, folder):
    """From now on no service of the node runs. Returns whether it still waits for its answers: it
    does so for 2 s."""
    client = node.client()
    client.send(KEEP_WORKER.format(folder))
    wait_file(folder / "busy")
    if all(unread(connection) is not None for connection in proxy.held):
        return True
    (folder / "free").touch()
    client.receive()
    proxy.release()
    (folder / "free").unlink()
    (folder / "busy").unlink()
    return False


def end_while_answers_come(cluster, **settings):
    """A node waits for answers of etcd when it is ended, and they come between the death of its
    services and their last turns."""
    with Holder(cluster.ports[0]) as proxy, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        node = begin(cluster, proxy, thread=1, **settings).wait_ready()
        wait_for_answers(node, proxy)
        while not keep_worker(node, proxy, folder):
            wait_for_answers(node, proxy)
        node.signal(signal.SIGTERM)
        wait_file(folder / "killed")
        proxy.release()
        wait_until(lambda: not any(map(unread, proxy.held)), "the node has read them")
        (folder / "go").touch()
        node.wait()
        wait_left(cluster)


@case
def answers_that_come_while_it_ends_harm_nothing():
    with Cluster() as cluster:
        end_while_answers_come(cluster)


@case
def nor_do_they_with_tls():
    with tempfile.TemporaryDirectory() as folder:
        path = make_certificate(folder)
        with Cluster(certificate=path) as cluster:
            end_while_answers_come(
                cluster, etcd_authorities=path, etcd_certificate=path, etcd_key=path
            )


@case
def connections_that_were_lost_before_are_back_for_the_end():
    with Cluster() as cluster, Holder(cluster.ports[0]) as proxy:
        node = begin(cluster, proxy).wait_ready()
        proxy.cut()
        # Nobody asks for anything: one is for the watch, the other has renewed the lease.
        wait_until(lambda: proxy.answered_count() >= 2, "two connections")
        node.stop()
        wait_left(cluster)


class PlaceHolder(Holder):
    """Holds all answers from the one on that says that the node has its place."""

    def __init__(self, cluster):
        self._cluster = cluster
        super().__init__(cluster.ports[0])

    def pass_on(self, client, data):
        if self._cluster.get("/test/node/"):
            self.hold()
        super().pass_on(client, data)


@case
def a_node_that_ends_as_it_joins_gives_its_place_back():
    with Cluster() as cluster, PlaceHolder(cluster) as proxy:
        node = begin(cluster, proxy)
        wait_until(lambda: proxy.held, "it has its place, and does not know")
        node.stop()
        wait_left(cluster)


main()
