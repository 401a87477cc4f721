"""The registry in etcd (lualib/skynet/registry/etcd.lua), with real clusters: places, names, and
the order of changes. The nodes here have no links to each other."""

import socket

from etcd_cluster import Cluster
from etcd_user import SHORT_CS, User
from harness import case, free_port, main, wait_until


def incarnation_of(cluster, node, prefix="/test"):
    value = cluster.get().get(f"{prefix}/node/{node}")
    return value and int(value.split()[1], 16)


# --- places ----------------------------------------------------------------------------------


@case
def nodes_see_each_other_join_and_leave():
    with Cluster() as cluster, User() as user:
        url = cluster.url()
        first = user.open("a", url, 1)
        assert user.run('return join("a")') == f"1={first}||0"
        second = user.open("b", url, 2)
        assert user.run('return join("b")') == f"1={first} 2={second}||0"
        user.wait_change("a", f"join 2 {2:016x} {second}")
        assert set(cluster.get()) == {
            "/test/base/1", "/test/base/2", "/test/node/1", "/test/node/2", "/test/run",
        }  # fmt: skip
        user.run("backends.b:close()")
        user.wait_change("a", f"leave 2 {2:016x}")
        assert set(cluster.get()) == {
            "/test/base/1", "/test/base/2", "/test/node/1", "/test/run",
        }  # fmt: skip


@case
def networks_with_other_prefixes_do_not_meet():
    with Cluster() as cluster, User() as user:
        user.join("a", cluster.url("/one"), 1)
        user.join("b", cluster.url("/one/more"), 1)
        user.join("c", cluster.url(""), 1)
        assert user.register("a", "name", 0x1000001) == 0x1000001
        assert user.register("b", "name", 0x1000002) == 0x1000002
        assert user.register("c", "name", 0x1000003) == 0x1000003
        assert cluster.get()["/skynet/name/name"] == ":01000003"
        assert user.changes("a") == [f"name name {0x1000001}"]


@case
def a_living_node_keeps_its_place():
    with Cluster() as cluster, User() as first, User() as second, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = "127.0.0.1:%d" % listener.getsockname()[1]
        options = {"incarnation": 1, "address": address, "timeout_cs": SHORT_CS}
        first.join("a", cluster.url(), 7, **options)
        text = second.refusal("b", cluster.url(), 7, 2)
        assert f"node 7 is there already, at {address}: give this one another id" in text, text
        assert incarnation_of(cluster, 7) == 1
        assert first.register("a", "still", 0x7000001) == 0x7000001
        assert first.events("a") == []


@case
def the_place_of_a_crashed_node_is_taken_at_once():
    # The lease holds for more than an hour, so waiting for it would not do.
    with Cluster() as cluster, User() as watcher:
        watcher.join("w", cluster.url(), 1, timeout_cs=360000)
        with User() as first:
            first.join("a", cluster.url(), 7, incarnation=1, timeout_cs=360000)
            first.register("a", "mine", 0x7000001)
            first.kill()
        with User() as second:
            second.join("b", cluster.url(), 7, incarnation=2, timeout_cs=360000)
            watcher.wait_change("w", f"join 7 {2:016x}")
        kinds = [line.split()[0] for line in watcher.changes("w")]
        assert kinds == ["join", "name", "leave", "join"], kinds
        assert incarnation_of(cluster, 7) == 2
        assert "/test/name/mine" not in cluster.get()


@case
def a_node_at_the_address_of_the_crashed_one_takes_its_place_at_once():
    with Cluster() as cluster, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # as the harbor of the second node does
        address = "127.0.0.1:%d" % listener.getsockname()[1]
        options = {"timeout_cs": 360000, "address": address}
        with User() as first:
            first.join("a", cluster.url(), 7, incarnation=1, **options)
            first.kill()
        with User() as second:
            second.join("b", cluster.url(), 7, incarnation=2, **options)
            assert incarnation_of(cluster, 7) == 2


@case
def loopback_on_another_machine_tells_nothing():
    with Cluster() as cluster, User() as user:
        for number, host in enumerate(("127.0.0.1", "localhost", "0.0.0.0", "[::1]"), 1):
            address = f"{host}:{free_port()}"  # nobody listens there
            value = f"{address} {1:016x} elsewhere"
            cluster.put(f"/test/node/{number}", value, cluster.grant(3600))
            options = {"incarnation": 2, "join_timeout_cs": 100}
            text = user.refusal(f"a{number}", cluster.url(), number, address=address, **options)
            assert f"node {number} was at {address}, and its lease has not ended" in text, text
            text = user.refusal(f"b{number}", cluster.url(), number, **options)
            assert f"node {number} was at {address}, and its lease has not ended" in text, text
            assert incarnation_of(cluster, number) == 1


@case
def a_node_that_is_killed_leaves_with_its_lease():
    with Cluster() as cluster, User() as watcher, User() as user:
        watcher.join("w", cluster.url(), 1)
        user.join("a", cluster.url(), 2, timeout_cs=SHORT_CS)
        user.register("a", "one", 0x2000001)
        user.register("a", "two", 0x2000002)
        user.kill()
        watcher.wait_change("w", f"leave 2 {2:016x}")
        assert [line.split()[0] for line in watcher.changes("w")] == [
            "join", "name", "name", "leave",
        ]  # fmt: skip
        assert "/test/name/one" not in cluster.get()
        assert watcher.register("w", "one", 0x1000001) == 0x1000001


@case
def handles_are_not_given_twice_to_an_id():
    with Cluster() as cluster, User() as user:
        assert user.join("a", cluster.url(), 3, incarnation=1).endswith("|0")
        user.run("backends.a:report(40000) backends.a:report(70000)")
        wait_until(lambda: cluster.get()["/test/base/3"] == "70000", "the base is stored")
        user.run("backends.a:close()")
        # Not even when the next ones have never come to report anything.
        for incarnation in range(2, 5):
            base = 70000 + (incarnation - 1) * 65536
            text = user.join(f"b{incarnation}", cluster.url(), 3, incarnation=incarnation)
            assert text.endswith(f"|{base}"), text
            user.run(f"backends.b{incarnation}:close()")


@case
def a_run_begins_with_the_node_that_finds_no_other():
    with Cluster() as cluster, User() as user:

        def run():
            return int(cluster.get()["/test/run"], 16)

        url = cluster.url()
        user.join("a", url, 1, incarnation=10)
        assert run() == 10
        user.join("b", url, 2, incarnation=11)
        user.run("backends.a:close()")
        user.wait_change("b", "leave 1")
        user.join("c", url, 1, incarnation=12)
        assert run() == 10
        user.run("backends.b:close() backends.c:close()")
        wait_until(lambda: "/test/node/1" not in cluster.get(), "the last one has left")
        wait_until(lambda: "/test/node/2" not in cluster.get(), "the last one has left")
        user.join("d", url, 3, incarnation=13)
        assert run() == 13
        # Who was silent for too long, and comes back, begins none.
        cluster.delete("/test/node/3")
        user.wait_change("d", "join 3")
        assert run() == 13


@case
def of_nodes_that_come_at_once_one_begins_the_run():
    with Cluster() as cluster, User() as user:
        cluster.put("/test/run", "5")
        clients = [user.client() for _ in range(8)]
        for number, client in enumerate(clients, 1):
            user.open(f"b{number}", cluster.url(), number)
            client.send(f'return join("b{number}")')
        for client in clients:
            client.receive()
        created = cluster.created("/test/node/")
        first = min(created, key=created.get)
        assert int(cluster.get()["/test/run"], 16) == int(first.rsplit("/", 1)[1]), created


@case
def what_others_write_under_the_prefix_is_passed_over():
    with Cluster() as cluster, User() as user:
        for key in ("node/0", "node/256", "node/x", "node/5/6", "name/", "base/1", "what/1", "x"):
            cluster.put(f"/test/{key}", "garbage")
        cluster.put("/test/node/9", "no incarnation")
        cluster.put("/test/name/orphan", ":09000001")
        cluster.put("/test/name/strange", "12")
        address = user.open("a", cluster.url(), 1)
        assert user.run('return join("a")') == f"1={address}||0"
        cluster.put("/test/name/later", ":09000001")
        cluster.put("/test/name/later", "bad")
        cluster.put("/test/name/with blank", ":01000001")
        cluster.put("/test/name/seventeen-bytes-x", ":01000001")
        cluster.put("/test/name/nobody", ":01000000")
        cluster.put("/test/node/77", "bad")
        cluster.put("/test/node/78", f"no.port {5:016x} m")
        cluster.put("/test/node/79", "127.0.0.1:1 123 m")
        cluster.delete("/test/node/77")
        cluster.delete("/test/node/x")
        assert user.register("a", "good", 0x1000001) == 0x1000001
        assert user.changes("a") == [f"name good {0x1000001}"]


# --- names -----------------------------------------------------------------------------------


@case
def a_name_has_one_owner():
    with Cluster() as cluster, User() as user:
        user.join("a", cluster.url(), 1)
        user.join("b", cluster.url(), 2)
        assert user.register("a", "boss", 0x1000001) == 0x1000001
        assert user.register("a", "boss", 0x1000001) == 0x1000001
        assert user.register("a", "boss", 0x1000002) == 0x1000001
        assert user.register("b", "boss", 0x2000001) == 0x1000001
        # Whoever is answered has been told before.
        assert f"name boss {0x1000001}" in user.changes("b")
        user.unregister("b", "boss", 0x2000001)  # not his
        assert user.register("b", "boss", 0x2000001) == 0x1000001
        user.unregister("a", "boss", 0x1000001)
        user.wait_change("b", f"unname boss {0x1000001}")
        assert user.register("b", "boss", 0x2000001) == 0x2000001
        assert user.register("a", "boss", 0x1000001) == 0x2000001
        # What is given back and asked for again comes in its order.
        user.unregister("b", "boss", 0x2000001)
        assert user.register("b", "boss", 0x2000002) == 0x2000002


@case
def names_are_bytes_without_blanks():
    with Cluster() as cluster, User() as user:
        user.join("a", cluster.url(), 1)
        for name in ("/", "//a/", "\\254\\255", "0", "name/x", "日本"):
            assert user.register("a", name, 0x1000001) == 0x1000001
        assert user.run("return #told.a.changes") == "6"
        assert user.run('return told.a.changes[3]:find("\\254\\255", 1, true) ~= nil') == "true"


@case
def all_nodes_are_told_the_same_in_the_same_order():
    work = """
	local id = ...
	for i = 1, 15 do
		local name, handle = "n" .. i % 4, (id << 24) + i
		if backends.x:register(name, handle) == handle then
			backends.x:unregister(name, handle)
		end
	end
	return backends.x:register("end" .. id, (id << 24) + 99)
	"""
    with Cluster(3) as cluster:
        users = [User() for _ in range(3)]
        for number, user in enumerate(users, 1):
            user.join("x", cluster.url(), number)
        for user in users[:2]:
            user.wait_change("x", "join 3 ")
        start = users[0].history("x")[-1:]
        clients = [user.client() for user in users]
        for number, client in enumerate(clients, 1):
            client.send(work.replace("...", str(number)))
        for client in clients:
            client.receive()
        for user in users:
            for number in range(1, 4):
                user.wait_change("x", f"name end{number} ")
        begin = int(start[0].split()[0])
        # Names that were given back may be told of later.
        end = max(int(line.split()[0]) for line in users[0].history("x") if " name end" in line)
        histories = [
            [line for line in user.history("x") if begin < int(line.split()[0]) <= end]
            for user in users
        ]
        assert histories[0] == histories[1] == histories[2], histories
        revisions = [int(line.split()[0]) for line in histories[0]]
        assert len(revisions) > 20 and revisions == sorted(set(revisions))


main()
