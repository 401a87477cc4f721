"""The place for data in etcd (lualib/skynet/registry/etcd_data.lua): one who writes at a time, and
nothing twice or late, whatever becomes of connections and answers."""

import json
import re
import socket

from etcd_cluster import Cluster
from etcd_fake import Fake, Proxy, keep, wait
from evaluator import Evaluator, Failed, failure
from harness import case, free_port, main

PRELUDE = r"""
local registry = require("skynet.registry")
places = {}

function open(name, url, node)
	places[name] = registry.open_data({
		url = url, timeout_cs = 500, office = "OFFICE", handle = (node << 24) + 9,
	})
end

-- Takes the place; returns what is there as a text.
function take(name, limit_cs)
	local list = {}
	local ok, reason, is_over = places[name]:take(skynet.now() + (limit_cs or 6000),
		function(keys, count, bytes)
			local path = table.concat(keys, "/", 1, count)
			table.insert(list, ("%s=%s"):format(path, bytes))
			return bytes ~= "no"
		end)
	if not ok then
		error(("%s (%s)"):format(reason, is_over and "over" or "not over"), 0)
	end
	return table.concat(list, " ")
end

-- Writes one value, or removes it.
function write(name, key, bytes, limit_cs)
	local writes = { { keys = { key }, count = 1, bytes = bytes } }
	local deadline_cs = skynet.now() + (limit_cs or 6000)
	local ok, reason, is_over = places[name]:write(writes, deadline_cs)
	if not ok then
		error(("%s (%s)"):format(reason, is_over and "over" or "not over"), 0)
	end
end
"""


class Keeper(Evaluator):
    """A process with places, each with a name of its own."""

    def __init__(self):
        super().__init__()
        self.run(PRELUDE)

    def open(self, name, url, node=1):
        self.run(f'open("{name}", "{url}", {node})')

    def take(self, name, limit_cs=6000):
        return self.run(f'return take("{name}", {limit_cs})')

    def write(self, name, key, text, limit_cs=6000):
        self.run(f'write("{name}", "{key}", {json.dumps(text) if text else "nil"}, {limit_cs})')


class Late(Proxy):
    """A proxy that can hold back what it is sent, and send that much later."""

    def __init__(self, port):
        self.is_holding = False
        self.held = []
        super().__init__(port)

    def hold(self):
        self.cut()
        self.is_holding = True

    def go_on(self):
        self.is_holding = False
        self.cut()

    def release(self):
        """Sends it, and waits for the answers. Returns how many there were."""
        answers = 0
        for data in self.held:
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                server.sendall(data)
                answers += b"HTTP/1.1 200" in server.recv(65536)
        return answers

    def serve(self, client, number):
        if not self.is_holding:
            super().serve(client, number)
            return
        data = b""
        while True:
            piece = client.recv(65536)
            if not piece:
                break
            data += piece
        self.held.append(data)


def give_office(cluster, node):
    """The service of that node has the office from now on."""
    cluster.delete("/test/name/OFFICE")
    cluster.put("/test/name/OFFICE", ":%08x" % ((node << 24) + 9))


@case
def only_who_has_the_office_and_took_the_place_can_write():
    with Cluster() as cluster, Keeper() as keeper:
        keeper.open("a", cluster.url(), 1)
        keeper.open("b", cluster.url(), 2)
        assert "nobody has it now (not over)" in failure(keeper.take, "a", 100)
        give_office(cluster, 1)
        assert keeper.take("a") == ""
        assert "node 1 has it now (over)" in failure(keeper.take, "b")
        keeper.write("a", "x", "1")
        give_office(cluster, 2)
        keeper.write("a", "y", "2")  # nobody else has taken it by now
        assert keeper.take("b") == "x=1 y=2"
        text = failure(keeper.write, "a", "x", "3")
        assert "another node has taken it over (over)" in text, text
        assert keeper.run("return places.a:is_held(skynet.now() + 500)") == "false"
        assert keeper.run("return places.b:is_held(skynet.now() + 500)") == "true"
        keeper.write("b", "x", None)
        # The office comes back to one who does not know that he has lost it meanwhile.
        give_office(cluster, 1)
        assert "another node has taken it over" in failure(keeper.write, "a", "x", "4")
        assert keeper.take("a") == "y=2"


@case
def a_connection_that_is_cut_anywhere_loses_nothing():
    with Cluster() as cluster, Keeper() as keeper:
        give_office(cluster, 1)
        with Proxy(cluster.ports[0], lambda n: 60 + 197 * n % 900 if n < 25 else None) as proxy:
            keeper.open("a", f"etcd://127.0.0.1:{proxy.port}/test")
            keeper.take("a")
            for number in range(50):
                keeper.write("a", f"k{number % 7}", f"v{number}")
            expected = " ".join(f"k{i % 7}=v{i}" for i in (49, 43, 44, 45, 46, 47, 48))
            assert keeper.take("a") == expected
            assert proxy.connections > 10
        assert cluster.get("/test/tree/") == {
            f"/test/tree/k{i % 7}": f"v{i}" for i in range(43, 50)
        }  # fmt: skip


@case
def a_write_whose_answer_was_lost_is_known_to_be_done():
    with Cluster() as cluster, Keeper() as keeper:
        give_office(cluster, 1)
        with Proxy(cluster.ports[0]) as proxy:
            # The first answer to each write is swallowed; the second one comes from elsewhere.
            url = f"etcd://127.0.0.1:{proxy.port},127.0.0.1:{cluster.ports[0]}/test"
            keeper.open("a", url, 2)
            give_office(cluster, 2)
            keeper.take("a")
            begin = cluster.revision()
            proxy.mute.set()
            keeper.write("a", "x", "1")
            assert cluster.revision() == begin + 1  # it was made once
            keeper.write("a", "x", "2")
        assert keeper.take("a") == "x=2"


@case
def a_write_that_was_given_up_does_not_come_later():
    with Cluster() as cluster, Keeper() as keeper:
        give_office(cluster, 1)
        with Late(cluster.ports[0]) as proxy:
            keeper.open("a", f"etcd://127.0.0.1:{proxy.port}/test")
            keeper.take("a")
            keeper.write("a", "x", "1")
            proxy.hold()
            assert "not over" in failure(keeper.write, "a", "x", "2", 50)
            proxy.go_on()
            assert keeper.take("a") == "x=1"
            keeper.write("a", "x", "3")
            assert proxy.release() > 0  # now etcd gets what it should have got before
            assert keeper.take("a") == "x=3"


@case
def many_large_values_are_read_in_pages():
    with Cluster() as cluster, Keeper() as keeper:
        give_office(cluster, 1)
        keeper.open("a", cluster.url())
        keeper.take("a")
        keeper.run("""
        for i = 1, 6 do
            write("a", "large" .. i, ("x"):rep(500000))
        end
        for i = 1, 20 do
            local changes = {}
            for k = 1, 100 do
                changes[k] = { keys = { i, k }, count = 2, bytes = "v" }
            end
            assert(places.a:write(changes, skynet.now() + 6000))
        end
        """)
        keeper.open("b", cluster.url())
        text = keeper.run('local text = take("b") return #text, select(2, text:gsub("=v", ""))')
        size, count = map(int, text.split(","))
        assert count == 2000 and size > 6 * 500000, text
        # One of them fails if it is changed while it is read.
        take = "places.a:take(skynet.now() + 6000, function() write('b', 'z', '1') return 1 end)"
        assert "another node has taken it over" in failure(keeper.run, take)


@case
def what_others_write_there_is_passed_over():
    with Cluster() as cluster, Keeper() as keeper:
        give_office(cluster, 1)
        for key in ("tree", "tree/%2f", "tree/#x", "tree/a b", "tree/ok", "tree/not", "treetop"):
            cluster.put(f"/test/{key}", "no" if "not" in key else "strange")
        keeper.open("a", cluster.url())
        assert keeper.take("a") == "not=no ok=strange"
        for key in ("/test/tree/#x", "/test/tree/%2f", "/test/tree/a b", "/test/tree/not"):
            keeper.wait_log(re.escape(f"warning: etcd: '{key}' is passed over"))
        keeper.write("a", "ok", "mine")
        cluster.put("/test/tree", "somebody has been here")
        assert "another node has taken it over" in failure(keeper.write, "a", "ok", "again")
        assert keeper.take("a") == "not=no ok=mine"
        cluster.put("/test/name/OFFICE", "strange, too")
        assert "somebody has it now (over)" in failure(keeper.take, "a")


@case
def what_an_earlier_run_has_left_is_removed():
    with Cluster() as cluster, Keeper() as keeper:
        give_office(cluster, 1)
        keeper.open("a", cluster.url())
        cluster.put("/test/run", "1a")
        keeper.take("a")
        keeper.write("a", "x", "1")
        assert keeper.take("a") == "x=1"
        cluster.delete("/test/run")  # nobody can tell
        assert keeper.take("a") == "x=1"
        cluster.put("/test/run", "1a")
        assert keeper.take("a") == "x=1"
        cluster.put("/test/run", "1b")
        keeper.write("a", "y", "2")  # as long as it is not taken over
        assert keeper.take("a") == ""
        assert cluster.get("/test/tree/") == {}


@case
def a_user_with_a_password_can_write():
    with Cluster() as cluster, Keeper() as keeper:
        give_office(cluster, 1)
        cluster.enable_users("mygame", "secret", "/test/")
        keeper.open("a", cluster.url(login="mygame:secret@"))
        keeper.take("a")
        keeper.write("a", "x", "1")
        assert keeper.take("a") == "x=1"
        keeper.open("b", cluster.url("/other", login="mygame:secret@"))
        assert "the user needs readwrite permission" in failure(keeper.take, "b")


HEADER = {"cluster_id": "1", "member_id": "2", "revision": "7", "raft_term": "1"}


def answer(body):
    data = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)


@case
def a_server_that_is_no_etcd_does_no_harm():
    office = {"response_range": {"kvs": [{"key": "L3Rlc3Q=", "value": "OjAxMDAwMDA5"}]}}
    nonsense = (
        [answer({"header": HEADER}), keep],
        [answer({"header": HEADER, "succeeded": "yes", "responses": 5}), keep],
        [answer({"header": HEADER, "responses": [1, "x", {}]}), keep],
        [answer({"header": HEADER, "responses": [{"response_range": {"kvs": [7]}}]}), keep],
        [answer({"header": HEADER, "responses": [office, office, office]}), keep],
        [answer({"header": HEADER, "responses": [office, {"response_range": 1}]}), keep],
        [answer({"header": HEADER, "succeeded": True, "responses": [office, [], {}],
                 "kvs": [1, {}, {"key": 5}, {"key": "L3Rlc3QvdHJlZS94", "value": 5}],
                 "more": True}), keep],
        [answer({"header": {}, "responses": [office]}), keep],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", wait],
        [b"\0" * 100],
    )  # fmt: skip
    with Cluster() as cluster, Keeper() as keeper:
        give_office(cluster, 1)
        for number, pieces in enumerate(nonsense):
            with Fake(*pieces) as fake:
                name = f"p{number}"
                keeper.open(name, f"etcd://127.0.0.1:{fake.port}/test")
                try:
                    keeper.take(name, 30)
                    keeper.write(name, "x", "1", 30)
                except Failed as error:
                    assert "attempt to" not in str(error), (number, error)
        keeper.open("good", f"etcd://127.0.0.1:{free_port()},127.0.0.1:{cluster.ports[0]}/test")
        assert keeper.take("good") == ""
        assert "stack traceback" not in keeper.text()


main()
