"""Nodes whose registry is an etcd, and how they end: whatever happens then, their place is
free at once. Their leases would not run out during a test."""

import itertools
import signal
import tempfile
from pathlib import Path

from etcd_cluster import Cluster, make_certificate
from etcd_fake import Holder, unread
from harness import case, main, wait_until
from nodes import LocalNetwork

LONG_S = 3600

# Registers a name, and keeps the only worker before the answer can be handled, until the node ends,
# and then until the test says so. The node may take that for an endless loop, and interrupt it.
KEEP_WORKER = """
local function is_marked(name)
	local file = io.open("{folder}/" .. name)
	return file and file:close()
end
local function mark(name)
	return assert(io.open("{folder}/" .. name, "w")):close()
end
local function keep_until(condition)
	local ok, is_so
	repeat
		ok, is_so = pcall(condition)
	until ok and is_so
end
skynet.fork(skynet.call, ".cslave", "lua", "REGISTER", "{name}", skynet.self())
skynet.sleep({pause_cs})
mark("busy")
keep_until(function()
	return is_marked("free") or not skynet.localname(".cslave")
end)
if is_marked("free") then
	return
end
keep_until(function()
	return mark("killed")
end)
keep_until(function()
	return is_marked("go")
end)
"""
# So long the node may take to send what it asks for, at most: it waits for 2 s for an answer.
PAUSE_MAX_CS = 160


def begin(cluster, proxy, **settings):
    """A node that speaks with etcd through the proxy."""
    url = cluster.url().replace(str(cluster.ports[0]), str(proxy.port))
    network = LocalNetwork(master=url, standalone=None, harbor_timeout=LONG_S)
    return network.begin(1, **settings)


def wait_left(cluster):
    """Waits until nothing hangs on the node's lease any more."""
    wait_until(lambda: not cluster.get("/test/node/"), "its place is free")
    assert not cluster.get("/test/name/")


def wait_for_answers(node, proxy, folder, tries):
    """Has the node wait for an answer there, and have the next message of its watch held, too; from
    then on none of its services runs. Returns whether that is so: on a busy machine it may come to
    ask too late."""
    client = node.client()
    pause_cs = min(10 * 2**tries, PAUSE_MAX_CS)
    client.send(KEEP_WORKER.format(folder=folder, name=f"NAME{tries}", pause_cs=pause_cs))
    wait_until((folder / "busy").exists, "the worker is kept")
    try:
        wait_until(lambda: len(proxy.held) >= 2, "two answers are held", pause_cs / 10)
        if all(unread(connection) is not None for connection in proxy.held):
            return True
    except AssertionError:
        pass
    (folder / "free").touch()
    client.receive()
    proxy.release()
    (folder / "free").unlink()
    (folder / "busy").unlink()
    return False


def end_while_answers_come(cluster, has_spare, **settings):
    """A node waits for answers of etcd when it is ended, and they come between the death of its
    services and their last turns. has_spare: it has the connection that it keeps for the end."""
    with Holder(cluster.ports[0]) as proxy, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        node = begin(cluster, proxy, thread=1, **settings).wait_ready()
        for tries in itertools.count():
            proxy.hold()
            if not has_spare:
                proxy.cut()
            if wait_for_answers(node, proxy, folder, tries):
                break
        node.signal(signal.SIGTERM)
        wait_until((folder / "killed").exists, "its services are killed")
        proxy.release()
        wait_until(lambda: not any(map(unread, proxy.held)), "the node has read them")
        (folder / "go").touch()
        node.wait()
        wait_left(cluster)


@case
def answers_that_come_while_it_ends_harm_nothing():
    with Cluster() as cluster:
        end_while_answers_come(cluster, has_spare=True)


@case
def nor_do_they_with_tls():
    with tempfile.TemporaryDirectory() as folder:
        path = make_certificate(folder)
        tls = {"etcd_authorities": path, "etcd_certificate": path, "etcd_key": path}
        with Cluster(certificate=path) as cluster:
            end_while_answers_come(cluster, has_spare=True, **tls)


@case
def nor_where_all_connections_wait_for_one():
    with Cluster() as cluster:
        end_while_answers_come(cluster, has_spare=False)


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
