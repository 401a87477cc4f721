"""Remote objects between nodes: methods are called over there, and what becomes of those of a node
that dies."""

from evaluator import failure
from harness import case, main
from nodes import LocalNetwork

# How long a dead node is missed: so long the cases with one last.
TIMEOUT_S = 2

COUNTER = """
    local counter = { value = 0 }
    function counter:add(n)
        self.value = self.value + n
        return self.value, self
    end
    function counter:fail()
        error("no more")
    end
    function counter:wait()
        skynet.sleep(100000)
    end
    function counter:visit(visitor, ...)
        return visitor:welcome(...)
    end
    mine = skynet.remote_create(counter)
    skynet.remote_root():register("counter", mine)
"""


@case
def methods_are_called_on_other_nodes():
    one, two, three = LocalNetwork(harbor_timeout=TIMEOUT_S).start_all(3)
    two.run(COUNTER)
    for node, expected in ((one, "3"), (three, "6"), (two, "9")):
        node.run('counter = skynet.remote_root():query("counter")')
        assert node.run("return (counter:add(3))") == expected
    assert two.run("return rawequal(counter, mine)") == "true"
    assert one.run("local _, same = counter:add(0) return rawequal(same, counter)") == "true"
    text = failure(one.run, "counter:fail()")
    assert "no more" in text and "in evaluator (:02" in text, text
    assert "no method 'nothing'" in failure(three.run, "counter:nothing()")
    # An object of node 3 is called by the one of node 2, and comes back as itself.
    three.run("""
        guest = skynet.remote_create({ welcome = function(self, ...) return self.name, ... end,
            name = "guest" })""")
    assert three.run("return counter:visit(guest, 1, nil, 3)") == "guest,1,nil,3"
    assert three.run("return rawequal(skynet.remote_root():echo(guest), guest)") == "true"


@case
def an_object_dies_with_its_node():
    network = LocalNetwork(harbor_timeout=TIMEOUT_S)
    one, two, three = network.start_all(3)
    three.run(COUNTER)
    one.run('counter = skynet.remote_root():query("counter")')
    two.run('counter = skynet.remote_root():query("counter") counter:add(1)')
    waiting = two.client()
    waiting.send("counter:wait()")
    assert two.run("return (counter:add(1))") == "2"  # so it waits there
    three.kill()
    text = failure(waiting.receive)
    assert "call failed" in text, text
    text = failure(two.run, "counter:add(1)")
    assert "call" in text and "node, number 3" in text, text
    one.wait_run('return skynet.remote_root():query("counter")', "nil")
    three = network.start(3)
    three.run(COUNTER)
    assert failure(two.run, "counter:add(1)")  # that was another life
    two.run('counter = skynet.remote_root():query("counter")')
    assert two.run("return (counter:add(5))") == "5"


@case
def another_root_takes_the_place_of_one_that_has_died():
    network = LocalNetwork(harbor_timeout=TIMEOUT_S)
    one, two, three = network.start_all(3)
    three.run(COUNTER)
    two.run('counter = skynet.remote_root():query("counter")')
    root = int(two.run("return skynet.remote_root().__remote >> 56"))
    assert root == 1, root
    one.kill()
    assert two.run("return (counter:add(2))") == "2"  # which does not need the root
    one = network.start(1)
    one.run('skynet.remote_root():register("x", skynet.remote_create())')
    # Until the others hear that the former root has ended, they go on asking that.
    three.run('function offer() skynet.remote_root():register("counter", mine) end')
    three.wait_run("return (pcall(offer))", "true")
    two.wait_run('return skynet.remote_root():query("counter") == counter', "true")


main()
