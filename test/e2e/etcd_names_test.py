"""The registry in etcd: names whose keys are touched by others, and names of a lease that is
lost."""


from etcd_cluster import Cluster
from etcd_user import SHORT_CS, User
from harness import case, main, wait_until


@case
def a_name_with_a_strange_value_stops_no_other():
    with Cluster() as cluster, User() as user:
        user.join("a", cluster.url(), 1)
        cluster.put("/test/name/strange", ":01000001 and more of a later version")
        client = user.client()
        client.send('return select(2, backends.a:register("strange", 0x1000001))')
        assert user.register("a", "good", 0x1000001) == 0x1000001
        assert client.receive() == "its key in etcd has a value that is no handle"
        cluster.delete("/test/name/strange")
        assert user.register("a", "strange", 0x1000001) == 0x1000001


@case
def an_owner_that_is_in_no_member_is_none():
    with Cluster() as cluster, User() as user:
        user.join("a", cluster.url(), 1)
        user.join("b", cluster.url(), 2)
        cluster.put("/test/name/orphan", ":09000001")
        assert user.register("a", "orphan", 0x1000001) == 0x1000001
        user.wait_change("b", f"name orphan {0x1000001}")
        assert user.register("b", "orphan", 0x2000001) == 0x1000001
        # It ends with its node as any other.
        user.run("backends.a:close()")
        user.wait_change("b", "leave 1")
        assert "/test/name/orphan" not in cluster.get()


@case
def a_name_whose_key_is_deleted_is_registered_again():
    with Cluster() as cluster, User() as user:
        user.join("a", cluster.url(), 1)
        user.join("b", cluster.url(), 2)
        user.register("a", "mine", 0x1000001)
        cluster.delete("/test/name/mine")
        wait_until(
            lambda: [line.split()[0] for line in user.changes("b")] == ["name", "unname", "name"],
            "it is there again",
        )
        user.unregister("a", "mine", 0x1000001)
        wait_until(lambda: "/test/name/mine" not in cluster.get(), "it is given back for good")


@case
def a_refused_rival_does_not_cost_the_owner_his_name():
    with Cluster() as cluster, User() as user:
        user.join("a", cluster.url(), 1)
        user.register("a", "mine", 0x1000001)
        assert user.register("a", "mine", 0x1000002) == 0x1000001
        cluster.revoke("/test/node/1")
        wait_until(lambda: "/test/name/mine" in cluster.get(), "the name is there again")


@case
def names_come_back_however_many_there_are():
    # More than can be registered while one lease lasts.
    with Cluster() as cluster, User() as user, User() as watcher:
        user.join("a", cluster.url(), 1, timeout_cs=100)
        watcher.join("w", cluster.url(), 2)
        for first in range(1, 600, 100):
            user.run(f"""
                for i = {first}, {first + 99} do
                    backends.a:register("n" .. i, 0x1000000 + i)
                end
            """)
        cluster.revoke("/test/node/1")
        watcher.wait_change("w", "leave 1")
        wait_until(lambda: len(cluster.get("/test/name/")) == 600, "all names are there again", 60)
        assert [line for line in watcher.changes("w") if "leave" in line] == [f"leave 1 {1:016x}"]
        assert "the place was lost" not in user.text()  # no member of etcd is to blame


@case
def a_strange_value_in_place_of_an_own_name_hinders_nobody():
    with Cluster() as cluster, User() as user:
        user.join("a", cluster.url(), 1, timeout_cs=SHORT_CS)
        for name in ("first", "second", "third"):
            user.register("a", name, 0x1000001)
        cluster.put("/test/name/second", "what is this?")
        cluster.revoke("/test/node/1")
        wait_until(
            lambda: set(cluster.get("/test/n"))
            == {"/test/node/1", "/test/name/first", "/test/name/second", "/test/name/third"},
            "the others are there again",
        )
        lease = cluster.lease("/test/node/1")
        user.run(f"skynet.sleep({2 * SHORT_CS})")
        assert cluster.lease("/test/node/1") == lease, "it keeps its place"


@case
def an_etcd_that_is_another_one_after_a_suspension_is_read_anew():
    with Cluster() as cluster, User() as user, User() as watcher:
        user.join("a", cluster.url(), 1)
        watcher.join("w", cluster.url(), 2, timeout_cs=SHORT_CS)
        for number in range(5):
            user.register("a", f"n{number}", 0x1000001)
        watcher.wait_change("w", "name n4")
        watcher.halt()
        user.run("backends.a:close()")
        cluster.wipe()
        cluster.restart(0)
        cluster.wait_ready()
        for number in range(50):  # its revision is beyond that of the old one
            cluster.put("/other", str(number))
        user.join("b", cluster.url(), 3)
        watcher.go_on()
        watcher.wait_change("w", "join 3")
        watcher.wait_change("w", "leave 1")


@case
def a_name_that_etcd_refuses_is_told_once():
    with Cluster() as cluster, User() as user:
        cluster.enable_users("game", "word", "/test/")
        user.join("a", cluster.url(login="game:word@"), 1)
        cluster.forbid("game", "/test/")
        client = user.client()
        client.send('return backends.a:register("x", 0x1000001)')
        user.wait_log("error: etcd: cannot register 'x': .*permission")
        cluster.permit("game", "/test/")
        assert client.receive() == str(0x1000001)
        assert user.text().count("cannot register") == 1


main()
