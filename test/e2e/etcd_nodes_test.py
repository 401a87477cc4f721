"""Networks of whole nodes whose registry is an etcd: no node is the master, whichever is lost."""

import os
import signal
import tempfile
from pathlib import Path

from etcd_cluster import Cluster
from evaluator import failure
from harness import SKYNET, case, free_port, main, run, wait_until, write_config
from nodes import LocalNetwork

ECHO = 'echo = skynet.newservice("node_echo") return skynet.address(echo)'
CALL = 'return (skynet.call({0}, "lua", "hello"))'
LEADER = 'return harbor.queryname("SERVICE") >> 24'
# A lease that does not run out during a test.
LONG_S = 3600


def network_of(cluster, **settings):
    return LocalNetwork(master=cluster.url(), standalone=None, **settings)


def start_echo(node, name):
    """Starts a service with a global name; returns its address as text for Lua."""
    address = "0x" + node.run(ECHO)[1:]
    node.run(f'harbor.globalname("{name}", {address})')
    return address


def nodes_in(cluster):
    return {int(key.rsplit("/", 1)[1]) for key in cluster.get("/test/node/")}


@case
def nodes_find_each_other_without_a_master():
    with Cluster() as cluster:
        network = network_of(cluster)
        first, second = network.start(1), network.start(2)
        address = start_echo(second, "ECHO")
        assert first.run(CALL.format('"ECHO"')) == "hello"
        assert first.run(CALL.format(address)) == "hello"
        assert cluster.get()["/test/name/ECHO"] == ":" + address[2:]
        first.run('datacenter.set("a", "b", 5)')
        assert second.run('return datacenter.get("a", "b")') == "5"
        unique = 'return skynet.uniqueservice(true, "node_echo")'
        assert first.run(unique) == second.run(unique)
        third = network.start(3)  # later than all names
        assert third.run(CALL.format('"ECHO"')) == "hello"
        assert third.run(unique) == second.run(unique)


@case
def a_node_that_ends_in_good_order_leaves_at_once():
    with Cluster() as cluster:
        network = network_of(cluster, harbor_timeout=LONG_S)
        first, second = network.start(1), network.start(2)
        start_echo(second, "ECHO")
        second.stop()
        wait_until(lambda: nodes_in(cluster) == {1}, "its place is free")
        assert "/test/name/ECHO" not in cluster.get()
        first.wait_run("return harbor.members()[2]", "nil")


@case
def a_node_that_was_killed_is_back_at_once():
    with Cluster() as cluster:
        network = network_of(cluster, harbor_timeout=LONG_S)
        first, second = network.start(1), network.start(2)
        old = start_echo(second, "ECHO")
        assert first.run(CALL.format(old)) == "hello"
        for _ in range(3):
            second.kill()
            second = network.start(2)
            assert "failed" in failure(first.run, CALL.format(old))
            new = start_echo(second, "ECHO")
            assert new != old
            first.wait_run(CALL.format('"ECHO"'), "hello")
            assert first.run(CALL.format(new)) == "hello"
            old = new


@case
def what_all_nodes_share_is_taken_over():
    with Cluster(3) as cluster:
        network = network_of(cluster, harbor_timeout=2)
        nodes = {number: network.start(number) for number in (1, 2, 3)}
        for _ in range(2):
            node = next(iter(nodes.values()))
            leader = int(node.run(LEADER))
            nodes.pop(leader).kill()
            for node in nodes.values():
                node.wait_run(
                    f"return ({LEADER.replace('return ', '')}) ~= {leader}", "true"
                )
            # The datacenter works; so do services that all nodes share.
            for number, node in nodes.items():
                node.wait_run(f'datacenter.set("key", {number}) return 1', "1")
                assert node.run('return datacenter.get("key")') == str(number)
                node.wait_run('return skynet.uniqueservice(true, "node_echo") ~= nil', "true")


@case
def a_second_node_with_an_id_is_refused():
    with Cluster() as cluster:
        network = network_of(cluster, harbor_timeout=3)
        first = network.start(1)
        second = network.begin(1, address=f"127.0.0.1:{free_port()}")
        second.expect_status(1)
        second.wait_log(r"node 1 is there already, at 127.0.0.1:\d+: give this one another id")
        second.wait()
        assert first.run("return 1") == "1"
        assert nodes_in(cluster) == {1}


@case
def an_etcd_that_is_away_stops_nobody():
    with Cluster() as cluster:
        network = network_of(cluster, harbor_timeout=2)
        first, second = network.start(1), network.start(2)
        start_echo(second, "ECHO")
        assert first.run(CALL.format('"ECHO"')) == "hello"
        cluster.members[0].kill()
        first.wait_log("Master disconnect: ")
        second.wait_log("Master disconnect: ")
        assert first.run(CALL.format('"ECHO"')) == "hello"
        cluster.restart(0)
        first.wait_log("Master is back")
        second.wait_log("Master is back")
        start_echo(first, "BACK")
        second.wait_run(CALL.format('"BACK"'), "hello")
        assert first.run(CALL.format('"ECHO"')) == "hello"


@case
def a_suspended_node_is_part_of_the_network_again():
    with Cluster() as cluster:
        network = network_of(cluster, harbor_timeout=2)
        first, second = network.start(1), network.start(2)
        start_echo(second, "ECHO")
        second.halt()
        wait_until(lambda: nodes_in(cluster) == {1}, "its lease has run out")
        first.wait_run("return harbor.members()[2]", "nil")
        second.go_on()
        first.wait_run("return (harbor.members()[2] or {}).up", "true")
        first.wait_run(CALL.format('"ECHO"'), "hello")


@case
def a_suspended_node_that_was_replaced_ends():
    with Cluster() as cluster:
        network = network_of(cluster, harbor_timeout=2)
        network.start(1)
        second = network.start(2)
        second.halt()
        wait_until(lambda: nodes_in(cluster) == {1}, "its lease has run out")
        third = network.start(2, address=f"127.0.0.1:{free_port()}")
        second.expect_status(1)
        second.go_on()
        second.wait_log("error: this node ends: node 2 is another one now")
        second.wait()
        assert third.run("return 1") == "1"


# --- ids that are claimed --------------------------------------------------------------------


@case
def nodes_that_start_together_get_different_ids():
    with Cluster(3) as cluster:
        network = network_of(cluster)
        count = 6
        nodes = [network.begin("auto", address="127.0.0.1:0") for _ in range(count)]
        for node in nodes:
            node.wait_ready()
        ids = [int(node.run("return (skynet.harbor(skynet.self()))")) for node in nodes]
        assert sorted(ids) == list(range(1, count + 1)), ids
        for number, node in zip(ids, nodes):
            assert node.run('return skynet.getenv("harbor")') == str(number)
            # Its log is that of one node: nothing tells of the claim, unless that took long.
            first = next(line for line in node.output.all() if "in an endless loop" not in line)
            assert first == f"[:{number:02x}000002] LAUNCH snlua bootstrap", first
        start_echo(nodes[0], "ECHO")
        for node in nodes:
            node.wait_run(CALL.format('"ECHO"'), "hello")


@case
def an_id_that_is_free_again_is_claimed_again():
    with Cluster() as cluster:
        network = network_of(cluster)
        first = network.start("auto", address="127.0.0.1:0")
        second = network.start("auto", address="127.0.0.1:0")
        first.stop()
        wait_until(lambda: nodes_in(cluster) == {2}, "the first id is free")
        third = network.start("auto", address="127.0.0.1:0")
        assert third.run("return (skynet.harbor(skynet.self()))") == "1"
        # Its handles are not those of the one before.
        assert int(cluster.get()["/test/base/1"]) >= 65536
        assert second.run("return harbor.members()[1].up") == "true"


@case
def without_a_free_id_no_node_starts():
    with Cluster() as cluster:
        for number in range(1, 256):
            value = "127.0.0.1:1 1 somewhere" if number % 2 else "what is this?"
            cluster.put(f"/test/node/{number}", value)
        node = network_of(cluster).begin("auto")
        node.expect_status(1)
        node.wait_log("this node gets no id .*: all ids, 1 to 255, are in use")
        node.wait()


@case
def without_an_etcd_no_id_is_claimed():
    url = f"etcd://127.0.0.1:{free_port()}/test"
    network = LocalNetwork(master=url, standalone=None, harbor_join_timeout=1)
    for number in ("auto", 1):
        node = network.begin(number)
        node.expect_status(1)
        node.wait_log(f"config key master: {url}: Connection refused")
        node.wait()


@case
def a_node_that_waits_for_its_id_can_be_ended():
    url = f"etcd://127.0.0.1:{free_port()}/test"
    node = LocalNetwork(master=url, standalone=None).begin("auto")
    node.wait_log("Connection refused")
    assert node.stop() == 0
    assert "bootstrap" not in node.text()


@case
def without_cjson_a_node_says_what_to_install():
    with Cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        broken = Path(folder) / "cjson.lua"  # found before the library
        broken.write_text('error("not here", 0)\n')
        lua_path = f"{folder}/?.lua;./lualib/?.lua"
        for number, line in (("auto", "this node gets no id .*: "), (1, "the node can't start: ")):
            node = network_of(cluster).begin(number, lua_path=lua_path)
            node.expect_status(1)
            node.wait_log(line)
            assert "an etcd needs the Lua library cjson, which is not here" in node.text()
            assert "install it (3rd/deps etcd; on Debian: lua-cjson)" in node.text()
            node.wait()


@case
def a_daemon_claims_its_id_in_the_background():
    with Cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        pid_path = Path(folder) / "pid"
        settings = {
            "harbor": "auto",
            "address": "127.0.0.1:0",
            "daemon": pid_path,
            "logger": f"{folder}/log",
            "start": "evaluator",
            "evaluator_port": free_port(),
            "harbor_join_timeout": 1,
        }
        bad = write_config(folder, master=f"etcd://127.0.0.1:{free_port()}/x", **settings)
        failed = run(SKYNET, bad, status=1)
        assert "this node gets no id (config key harbor): config key master" in failed.text()
        assert not pid_path.exists()
        config = write_config(folder, master=cluster.url(), **settings)
        run(SKYNET, config)
        pid = int(pid_path.read_text())
        try:
            key = "/test/node/1"
            wait_until(lambda: cluster.get().get(key, "-")[0] != "-", "it has joined")
        finally:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not pid_path.exists(), "it has ended")
        wait_until(lambda: nodes_in(cluster) == set(), "it has left")


main()
