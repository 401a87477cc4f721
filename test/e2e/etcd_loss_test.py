"""The registry in etcd, when nodes are suspended, and when members of the cluster, or all of it, go
and come back."""

import socket

from etcd_cluster import Cluster
from etcd_user import SHORT_CS, User
from evaluator import failure
from harness import case, main, wait_until


@case
def a_suspended_node_joins_again():
    with Cluster() as cluster, User() as watcher, User() as user:
        watcher.join("w", cluster.url(), 1)
        user.join("a", cluster.url(), 2, timeout_cs=SHORT_CS)
        user.register("a", "kept", 0x2000001)
        user.register("a", "stolen", 0x2000002)
        user.halt()
        watcher.wait_change("w", f"leave 2 {2:016x}")
        assert watcher.register("w", "stolen", 0x1000001) == 0x1000001
        user.go_on()
        user.wait_log("etcd: this node has lost its place, and joins again")
        wait_until(
            lambda: [
                line.split()[0] for line in watcher.changes("w") if "stolen" not in line
            ] == ["join", "name", "leave", "join", "name"],
            "the node and its name are there again",
        )  # fmt: skip
        assert user.register("a", "kept", 0x2000009) == 0x2000001
        assert user.register("a", "stolen", 0x2000002) == 0x1000001
        assert "evicted" not in user.events("a")


@case
def a_node_whose_key_is_deleted_joins_again():
    with Cluster() as cluster, User() as watcher, User() as user:
        watcher.join("w", cluster.url(), 1)
        user.join("a", cluster.url(), 2)
        user.register("a", "kept", 0x2000001)
        for _ in range(2):
            cluster.delete("/test/node/2")
            user.wait_log("etcd: this node has lost its place, and joins again")
            wait_until(lambda: len(cluster.get("/test/n")) == 3, "its keys are there again")
        watcher.wait_change("w", "leave 2")
        wait_until(
            lambda: [line.split()[0] for line in watcher.changes("w")]
            == ["join", "name", "leave", "join", "name", "leave", "join", "name"],
            "all is told",
        )


@case
def a_suspended_node_that_was_replaced_is_told_so():
    with Cluster() as cluster, User() as first, User() as second, socket.socket() as listener:
        first.join("a", cluster.url(), 2, incarnation=1, timeout_cs=SHORT_CS)
        first.halt()
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # as the harbor of the second node does
        address = "127.0.0.1:%d" % listener.getsockname()[1]
        options = {"incarnation": 2, "address": address, "timeout_cs": SHORT_CS}
        second.open("b", cluster.url(), 2, **options)
        second.run('return join("b")')  # nobody listens at the address of the first
        first.go_on()
        first.wait_log(f"a evicted: node 2 is another one now, at {address}")
        assert cluster.get()["/test/node/2"].startswith(f"{address} {2:016x} ")
        assert failure(first.register, "a", "x", 0x2000001).endswith("has left the network")
        assert second.register("b", "x", 0x2000001) == 0x2000001


@case
def a_cluster_that_loses_a_member_goes_on():
    with Cluster(3) as cluster, User() as user, User() as watcher:
        user.join("a", cluster.url(), 1)
        watcher.join("w", cluster.url(), 2)
        for number in range(3):
            cluster.members[number].kill()
            handle = 0x1000001 + number
            assert user.register("a", f"n{number}", handle) == handle
            watcher.wait_change("w", f"name n{number} {handle}")
            cluster.restart(number)
            cluster.wait_ready()
        for backend, who in (("a", user), ("w", watcher)):
            assert "evicted" not in who.events(backend)
            assert not any("leave" in line for line in who.changes(backend))


@case
def an_etcd_that_is_away_for_a_while_changes_nothing():
    with Cluster() as cluster, User() as user:
        user.join("a", cluster.url(), 1, timeout_cs=SHORT_CS)
        user.join("b", cluster.url(), 2, timeout_cs=SHORT_CS)
        user.register("a", "before", 0x1000001)
        user.wait_change("b", "name before")
        cluster.members[0].kill()
        client = user.client()
        client.send('return backends.b:register("meanwhile", 0x2000001)')
        user.unregister("a", "before", 0x1000001)
        user.run("backends.a:report(5000)")
        user.wait_event("a", "lost")
        user.wait_event("b", "lost")
        assert user.run("return backends.a:status().connected") == "false"
        cluster.restart(0)
        assert client.receive() == str(0x2000001)
        user.wait_event("a", "back")
        user.wait_event("b", "back")
        user.wait_change("b", "unname before")
        wait_until(lambda: cluster.get()["/test/base/1"] == "5000", "the base is stored")
        assert user.run("return backends.a:status().connected") == "true"
        for name in ("a", "b"):
            assert not any("leave" in line for line in user.changes(name)), user.changes(name)


@case
def an_etcd_that_has_lost_all_is_told_anew():
    with Cluster() as cluster, User() as user:
        user.join("a", cluster.url(), 1, timeout_cs=SHORT_CS)
        user.join("b", cluster.url(), 2, timeout_cs=SHORT_CS)
        for number in range(20):
            user.register("a", f"n{number}", 0x1000001)
        user.run("backends.a:report(70000)")
        wait_until(lambda: cluster.get()["/test/base/1"] == "70000", "the base is stored")
        cluster.wipe()
        cluster.restart(0)
        cluster.wait_ready()
        wait_until(lambda: len(cluster.get("/test/name/")) == 20, "all names are there again")
        wait_until(lambda: cluster.get().get("/test/base/1") == "70000", "the base is, too")
        assert user.register("b", "after", 0x2000001) == 0x2000001
        user.wait_change("a", "name after")
        for name in ("a", "b"):
            revisions = [int(line.split()[0]) for line in user.history(name)]
            assert revisions == sorted(revisions), user.history(name)
            assert "evicted" not in user.events(name)


@case
def what_was_compacted_meanwhile_is_told_as_changes():
    with Cluster() as cluster, User() as user, User() as watcher:
        user.join("a", cluster.url(), 1)
        watcher.join("w", cluster.url(), 2)
        user.register("a", "old", 0x1000001)
        watcher.wait_change("w", "name old")
        watcher.halt()
        cluster.members[0].kill()  # so that the watch has to begin anew
        cluster.restart(0)
        cluster.wait_ready()
        user.unregister("a", "old", 0x1000001)
        for number in range(5):
            user.register("a", "new", 0x1000001 + number)
            user.unregister("a", "new", 0x1000001 + number)
        user.register("a", "new", 0x1000007)
        cluster.compact()
        watcher.go_on()
        watcher.wait_change("w", f"name new {0x1000007}")
        assert watcher.changes("w")[-2:] == [f"unname old {0x1000001}", f"name new {0x1000007}"]
        user.register("a", "next", 0x1000008)
        watcher.wait_change("w", "name next")


main()
