"""The datacenter of a network whose registry is etcd: what was set survives the node it was on."""

from pathlib import Path

from etcd_cluster import Cluster
from evaluator import failure
from harness import case, main, wait_until
from nodes import LocalNetwork

HOLDER = 'return harbor.queryname("DATACENTER") >> 24'
# A lease that does not run out during a test.
LONG_S = 3600

# is_equal(a, b): by content, and an integer is no float. random_value(), random_keys(): odd ones.
PRELUDE = r"""
function is_equal(a, b)
	if type(a) ~= "table" or type(b) ~= "table" then
		return rawequal(a, b) and math.type(a) == math.type(b)
	end
	for key, value in pairs(a) do
		if not is_equal(value, b[key]) then return false end
	end
	for key in pairs(b) do
		if a[key] == nil then return false end
	end
	return true
end

local KEYS = {
	"a", "a/b", "", "1", 1, 1.5, true, false, "true", "#1", "%2F", "\0\xff\n", -7, 1e300,
}
local VALUES = {
	1, 1.0, "", "\0\xff", ("x"):rep(5000), true, false, math.mininteger, math.huge, 0.1,
}

function random_value(depth)
	depth = depth or 0
	local kind = math.random(10)
	if kind <= 2 then return nil end
	if kind <= 6 or depth > 2 then return VALUES[math.random(#VALUES)] end
	local value = {}
	for _ = 1, math.random(0, 3) do
		value[KEYS[math.random(#KEYS)]] = random_value(depth + 1)
	end
	return value
end

function random_keys()
	local keys = { "model" }
	for i = 2, math.random(2, 4) do keys[i] = KEYS[math.random(#KEYS)] end
	return keys
end

function find(value, keys)
	for _, key in ipairs(keys) do
		if type(value) ~= "table" then return nil end
		value = value[key]
	end
	return value
end

-- False where a value stands in the way.
function set(root, keys, value)
	for i = 1, #keys - 1 do
		if root[keys[i]] == nil then root[keys[i]] = {} end
		root = root[keys[i]]
		if type(root) ~= "table" then return false end
	end
	root[keys[#keys]] = value
	return true
end
"""


class World:
    """A cluster, and nodes that are one network. The first one holds the datacenter."""

    def __init__(self, count=3, members=1, **settings):
        self.cluster = Cluster(members)
        self.network = LocalNetwork(master=self.cluster.url(), standalone=None, **settings)
        self.nodes = {}
        for number in range(1, count + 1):
            self.start(number)

    def start(self, number):
        self.nodes[number] = self.network.start(number)
        self.nodes[number].run(PRELUDE)
        return self.nodes[number]

    def holder(self):
        return int(next(iter(self.nodes.values())).run(HOLDER))

    def kill_holder(self):
        """Kills the node that holds it. Returns its number when another one holds it."""
        number = self.holder()
        self.nodes.pop(number).kill()
        for node in self.nodes.values():
            wait_until(lambda n=node: int(n.run(HOLDER)) != number, "another one holds it")
        return number

    def __enter__(self):
        self.cluster.__enter__()
        return self

    def __exit__(self, *problem):
        for node in self.nodes.values():
            if node.is_running():
                node.kill()
        return self.cluster.__exit__(*problem)


@case
def what_was_set_survives_the_node_that_holds_it():
    with World(harbor_timeout=2) as world:
        code = r"""
        datacenter.set("plain", 1)
        datacenter.set("town", "mayor", "Ann")
        datacenter.set("town", "mayor", "Bob")
        datacenter.set("odd", "a/b", 1)
        datacenter.set("odd", "a", "b", 2)
        datacenter.set("odd", 1, 3)
        datacenter.set("odd", "1", 4)
        datacenter.set("odd", 1.5, 5)
        datacenter.set("odd", true, 6)
        datacenter.set("odd", "true", 7)
        datacenter.set("odd", "", "\0\xff")
        datacenter.set("float", 1.0)
        datacenter.set("no", false)
        datacenter.set("whole", { 1, 2, 3, x = { y = { z = -1 } } })
        datacenter.set("whole", 2, nil)
        datacenter.set("whole", "x", "y", "w", 5)
        datacenter.set("gone", { 1 })
        datacenter.set("gone", nil)
        """
        world.nodes[3].run(code)
        expected = r"""
        assert(datacenter.get("plain") == 1)
        assert(is_equal(datacenter.get("town"), { mayor = "Bob" }))
        assert(is_equal(datacenter.get("odd"), { ["a/b"] = 1, a = { b = 2 }, [1] = 3, ["1"] = 4,
            [1.5] = 5, [true] = 6, ["true"] = 7, [""] = "\0\xff" }))
        assert(is_equal(datacenter.get("float"), 1.0))
        assert(datacenter.get("no") == false)
        assert(is_equal(datacenter.get("whole"), { 1, nil, 3, x = { y = { z = -1, w = 5 } } }))
        assert(datacenter.get("gone") == nil)
        return 1
        """
        for _ in range(3):
            number = world.kill_holder()
            for node in world.nodes.values():
                node.wait_run(expected, "1")
            world.start(number).wait_run(expected, "1")


@case
def the_service_alone_may_end():
    with World(count=2) as world:
        first, second = world.nodes.values()
        second.run('datacenter.set("a", "b", { 7 })')
        first.run('skynet.kill(harbor.queryname("DATACENTER"))')
        second.wait_run('return datacenter.get("a", "b", 1)', "7")
        first.wait_run('return datacenter.set("a", "b", 1, 8)', "7")


@case
def who_waits_hears_of_a_value_from_the_next_holder():
    with World(count=2, harbor_timeout=2) as world:
        second = world.nodes[2]
        client = second.client()
        client.send('return datacenter.wait("later")')
        second.run("return 1")
        world.kill_holder()
        # The call fails, as all calls to a node that has died; made again, it waits there.
        assert "call" in failure(client.receive)
        client.send('return datacenter.wait("later")')
        second.wait_run('datacenter.set("later", 5) return 1', "1")
        assert client.receive() == "5"


@case
def a_member_of_etcd_is_not_needed():
    setting = """
    counts = {}
    for id = 1, 4 do
        counts[id] = 0
        skynet.fork(function()
            while not stop do
                datacenter.set("count", id, counts[id] + 1)
                counts[id] = counts[id] + 1
            end
            ended = (ended or 0) + 1
        end)
    end
    """
    with World(count=2, members=3) as world:
        second = world.nodes[2]
        second.run(setting)
        for number in range(3):
            before = int(second.run("return counts[1]"))
            world.cluster.members[number].kill()
            wait_until(lambda b=before: int(second.run("return counts[1]")) > b + 5, "it goes on")
            world.cluster.restart(number)
            world.cluster.wait_ready()
        second.run("stop = true")
        second.wait_run("return ended", "4")  # none of them has failed
        check = 'return is_equal(datacenter.get("count"), counts)'
        assert second.run(check) == "true"
        world.nodes[1].run('skynet.kill(harbor.queryname("DATACENTER"))')
        second.wait_run(check, "true")


def is_stopped(node):
    """Whether all threads of a process are suspended."""
    tasks = Path(f"/proc/{node.pid}/task").glob("*/stat")
    return all(task.read_text().rsplit(")", 1)[1].split()[0] == "T" for task in tasks)


@case
def who_was_suspended_and_replaced_cannot_write():
    with World(count=2, harbor_timeout=2) as world:
        first, second = world.nodes.values()
        first.run('datacenter.set("a", 1)')
        waiting = first.client()
        waiting.send('return datacenter.wait("never")')
        first.run("return 1")
        late = first.client()
        first.halt()
        wait_until(lambda: is_stopped(first), "it is suspended")
        # What it does first when it goes on, before it can have heard of anything.
        late.send('return datacenter.set("a", 3)')
        wait_until(lambda: second.run(HOLDER) == "2", "the other one holds it")
        assert second.run('return datacenter.set("a", 2)') == "1"
        first.go_on()
        failure(late.receive)  # by what is kept, or by the link, which has been given up
        assert "node 2 has it now" in failure(waiting.receive)
        assert second.run('return datacenter.get("a")') == "2"
        first.wait_run('return datacenter.get("a")', "2")
        first.wait_run('datacenter.set("a", 4) return 1', "1")
        assert second.run('return datacenter.get("a")') == "4"


@case
def without_etcd_values_are_read_but_not_set():
    with World(count=2, harbor_timeout=LONG_S) as world:
        first, second = world.nodes.values()
        second.run('datacenter.set("a", 1)')
        world.cluster.members[0].kill()
        pending = second.client()
        pending.send('return datacenter.set("a", 2)')
        assert second.run('return datacenter.get("a")') == "1"
        world.cluster.restart(0)
        world.cluster.wait_ready()
        assert pending.receive() == "1"  # it has waited
        assert first.run('return datacenter.get("a")') == "2"


@case
def a_set_waits_for_etcd_within_bounds():
    with World(count=1) as world:
        node = world.nodes[1]
        node.run('datacenter.set("a", 1)')
        world.cluster.members[0].kill()
        reason = failure(node.run, 'return datacenter.set("a", 2)')
        assert "it is not known whether it is set: " in reason, reason
        reason = failure(node.run, 'return datacenter.set("a", 3)')
        assert "it is not set: the registry does not answer" in reason, reason
        assert node.run('return datacenter.get("a")') == "1"
        world.cluster.restart(0)
        world.cluster.wait_ready()
        node.wait_run('return datacenter.set("a", 4) ~= nil', "true")
        assert node.run('return datacenter.get("a")') == "4"


@case
def a_large_tree_is_read_in_pieces():
    with World(count=2, harbor_timeout=3) as world:
        second = world.nodes[2]
        second.run("""
        local function set(...)
            local ok, reason
            repeat -- a busy etcd takes longer than a request may wait
                ok, reason = pcall(datacenter.set, ...)
            until ok or not reason:find("it is not", 1, true)
            assert(ok, reason)
        end
        for i = 1, 6 do
            set("large", i, string.char(64 + i):rep(900000))
        end
        local token, done = {}, 0
        for task = 1, 20 do
            skynet.fork(function()
                for i = 1, 150 do
                    set("small", task, i, "value " .. i)
                end
                done = done + 1
                if done == 20 then
                    skynet.wakeup(token)
                end
            end)
        end
        skynet.wait(token)
        local whole = {}
        for i = 1, 20000 do
            whole[i] = i
        end
        set("whole", whole)
        """)
        reason = failure(second.run, 'datacenter.set("large", 1, ("x"):rep(2000000))')
        assert "bytes, more than the 1048576 that can be kept" in reason, reason
        world.kill_holder()
        second.wait_run("""
        for i = 1, 6 do
            assert(datacenter.get("large", i) == string.char(64 + i):rep(900000))
        end
        for task = 1, 20 do
            local list = datacenter.get("small", task)
            assert(#list == 150 and list[150] == "value 150")
        end
        assert(#datacenter.get("whole") == 20000)
        return 1
        """, "1")


@case
def a_run_of_the_network_begins_empty():
    with World(count=2) as world:
        world.nodes[2].run('datacenter.set("a", 1)')
        world.nodes.pop(1).stop()
        world.nodes[2].wait_run('return datacenter.get("a")', "1")
        world.start(1)
        world.nodes.pop(2).stop()
        world.nodes[1].wait_run('return datacenter.get("a")', "1")
        world.nodes.pop(1).stop()
        first = world.start(1)
        assert first.run('return datacenter.get("a")') == "nil"
        assert "/test/tree/a" not in world.cluster.get("/test/tree")


# Sets at random until some have failed, or enough were made. One that fails may have been made or
# not: what is there then, is right.
STEPS = r"""
local made, limit = 0, ...
while made < limit do
	local keys, value = random_keys(), random_value()
	local former = find(model, keys)
	local copy = value ~= nil and skynet.unpack(skynet.packstring(value)) or value
	local ok, result
	if value == nil then
		ok, result = pcall(datacenter.set, table.unpack(keys, 1, #keys + 1))
	else
		keys[#keys + 1] = value
		ok, result = pcall(datacenter.set, table.unpack(keys))
		keys[#keys] = nil
	end
	if ok then
		made = made + 1
		assert(is_equal(result, former), "another former value")
		assert(set(model, keys, copy), "a value stands in the way")
	elseif result:find("holds a value", 1, true) then
		assert(not set(model, keys, copy), "no value stands in the way")
	else
		local is_there, root
		repeat
			is_there, root = pcall(datacenter.get, "model")
			if not is_there then skynet.sleep(10) end
		until is_there
		local other = skynet.unpack(skynet.packstring(model))
		set(other, keys, copy)
		local is_known = is_equal(root, model.model) or is_equal(root, other.model)
		assert(is_known, "it is something else")
		model.model = root
	end
end
assert(is_equal(datacenter.get("model"), model.model), "it is something else in the end")
return made
"""


@case
def whatever_is_set_across_all_losses_is_as_in_memory():
    with World(count=3, harbor_timeout=2) as world:
        driver = world.nodes[3]
        driver.run("model = {}")
        for _ in range(3):
            assert driver.run(STEPS.replace("...", "150")) == "150"
            client = driver.client()
            client.send(STEPS.replace("...", "400"))
            number = world.holder()
            if number == 3:
                driver.run('skynet.kill(harbor.queryname("DATACENTER"))')
            else:
                world.nodes[number].kill()
            assert client.receive() == "400"
            if number != 3:
                world.start(number)


main()
