"""Groups whose members live on several nodes (mcgroup): who gets what is sent, and what becomes of
them when a node dies, the one with their manager, and the one with the master."""

import re

from etcd_cluster import Cluster
from evaluator import failure
from harness import case, main, wait_until
from nodes import LocalNetwork

# How long a dead node is missed: so long the cases with one last.
TIMEOUT_S = 2

MCGROUP = """
    mcgroup = require("mcgroup")
    heard = {}
    skynet.dispatch("lua", function(session, source, ...)
        heard[#heard + 1] = skynet.harbor(source) .. ":" .. table.concat({ ... }, " ")
    end)
"""


def use_groups(*nodes):
    for node in nodes:
        node.run(MCGROUP)


def enter(nodes, *groups, tunnels=None):
    """Has all nodes enter the groups, and waits until each has heard of all others: then it has so
    many tunnels, by default those of these groups."""
    for node in nodes:
        for id in groups:
            node.run(f"mcgroup.enter({id})")
    if tunnels is None:
        tunnels = (len(nodes) - 1) * len(groups)
    for node in nodes:
        wait_until(lambda n=node: services(n).count("tunnel") == tunnels, "all are tied together")


def send_to_group(node, id, text):
    node.run(f'skynet.send(mcgroup.address({id}), "lua", "{text}")')


def heard_everywhere(nodes, text, last):
    for node in nodes:
        node.wait_run("return heard[#heard]", text)
        assert node.run("return #heard") == str(last), node.run("return heard")


@case
def members_of_all_nodes_get_what_any_node_sends():
    one, two, three = nodes = LocalNetwork(harbor_timeout=TIMEOUT_S).start_all(3)
    use_groups(*nodes)
    id = one.run("return mcgroup.create()")
    two.run(f"address = mcgroup.address({id})")
    assert two.run(f"return mcgroup.address({id}) == address") == "true"
    enter(nodes, id)
    for count, node in enumerate(nodes, 1):
        send_to_group(node, id, "hello")
        heard_everywhere(nodes, f"{count}:hello", count)
    many = 300
    three.run(f"""
        local address = mcgroup.address({id})
        for i = 1, {many} do
            skynet.send(address, "lua", i)
        end""")
    order = ",".join(f"3:{i}" for i in range(1, many + 1))
    for node in nodes:
        node.wait_run("return #heard", str(3 + many))
        assert node.run('return table.concat(heard, ",", 4)') == order
        node.run("heard = { 1, 2, 3 }")
    two.run(f"mcgroup.leave({id})")
    send_to_group(two, id, "without me")
    for node in (one, three):
        node.wait_run("return heard[#heard]", "2:without me")
    assert two.run("return #heard") == "3"
    three.run(f"mcgroup.release({id})")
    for node in nodes:
        wait_until(
            lambda n=node: not {"tunnel", "multicast"} & set(services(n)), "nothing is left"
        )
        assert f"there is no group {id}" in failure(node.run, f"mcgroup.address({id})")
    assert failure(two.run, 'skynet.call(address, "lua", "x")')


@case
def groups_that_are_released_leave_nothing():
    network = LocalNetwork(harbor_timeout=TIMEOUT_S)
    nodes = one, two, three = network.start_all(3)
    use_groups(*nodes)
    for count in range(20):
        id = nodes[count % 3].run("return mcgroup.create()")
        for node in nodes:
            node.run(f"mcgroup.enter({id})")
        nodes[(count + 1) % 3].run(f"mcgroup.release({id})")
    id = two.run("return mcgroup.create()")
    one.run(f"mcgroup.enter({id})")
    three.kill()
    two.run(f"mcgroup.release({id})")
    for node in (one, two):
        wait_until(
            lambda n=node: not {"tunnel", "multicast"} & set(services(n)), "nothing is left"
        )


def services(node):
    """What was launched on the node and has not ended, by the lines of the log."""
    launched = re.findall(r"\[:(\w+)\] LAUNCH (\w+)", node.text())
    return [name for address, name in launched if is_alive(node, int(address, 16))]


def is_alive(node, address):
    return node.run(f"""
        local core = require("skynet.core")
        local session = core.link({address})
        if session then core.unlink({address}, session) end
        return session ~= nil""") == "true"


@case
def a_node_that_dies_drops_out_and_can_come_back():
    network = LocalNetwork(harbor_timeout=TIMEOUT_S)
    one, two, three = network.start_all(3)
    use_groups(one, two, three)
    id = one.run("return mcgroup.create()")
    enter((one, two, three), id)
    send_to_group(two, id, "all")
    heard_everywhere((one, two, three), "2:all", 1)
    three.kill()
    send_to_group(two, id, "two of us")
    heard_everywhere((one, two), "2:two of us", 2)
    three = network.start(3)
    use_groups(three)
    enter((one, two, three), id)
    send_to_group(two, id, "again")
    heard_everywhere((one, two), "2:again", 3)
    heard_everywhere((three,), "2:again", 1)


MANAGER = 'return (skynet.harbor(require("skynet.harbor").queryname("GROUP_MGR")))'


def manager_of(node):
    """The node that the manager is on."""
    return node.run(MANAGER)


@case
def groups_survive_their_manager():
    network = LocalNetwork(harbor_timeout=TIMEOUT_S)
    one, two, three = network.start_all(3)
    use_groups(two)
    id = two.run("return mcgroup.create()")  # so the manager is there
    assert manager_of(two) == "2"
    use_groups(one, three)
    enter((one, two, three), id)
    send_to_group(three, id, "all")
    heard_everywhere((one, two, three), "3:all", 1)
    two.kill()
    send_to_group(three, id, "without the manager")
    heard_everywhere((one, three), "3:without the manager", 2)
    second = one.run("return mcgroup.create()")  # which waits for the next one
    assert second != id
    assert manager_of(three) in ("1", "3")
    three.run(f"mcgroup.enter({second})")
    two = network.start(2)
    use_groups(two)
    enter((one, two, three), id, second)
    send_to_group(one, id, "three again")
    heard_everywhere((one, three), "1:three again", 3)
    heard_everywhere((two,), "1:three again", 1)
    two.run(f"mcgroup.release({id})")
    assert f"there is no group {id}" in failure(two.run, f"mcgroup.address({id})")


@case
def a_manager_that_has_lost_the_office_forgets_what_it_knew():
    network = LocalNetwork(harbor_timeout=TIMEOUT_S)
    _, two, three = network.start_all(3)
    use_groups(two)
    id = two.run("return mcgroup.create()")
    use_groups(three)
    enter((two, three), id)
    assert manager_of(two) == "2"
    two.halt()
    try:
        three.wait_run(MANAGER, "3")
    finally:
        two.go_on()
    two.wait_run(MANAGER, "3")
    enter((two, three), id)
    three.run(f"mcgroup.release({id})")
    ended = f"return not pcall(mcgroup.address, {id})"
    two.wait_run(ended, "true")
    three.kill()
    two.wait_run(MANAGER, "2")
    assert two.run("return mcgroup.create()") != id
    assert two.run(ended) == "true"


@case
def groups_survive_the_master():
    network = LocalNetwork(harbor_timeout=TIMEOUT_S)
    one, two, three = network.start_all(3)
    use_groups(one, two, three)
    id = one.run("return mcgroup.create()")
    enter((two, three), id)
    send_to_group(three, id, "all")
    heard_everywhere((two, three), "3:all", 1)
    one.kill()
    send_to_group(three, id, "without the master")
    heard_everywhere((two, three), "3:without the master", 2)
    one = network.start(1)
    use_groups(one)
    enter((one, two, three), id)
    send_to_group(two, id, "with a new one")
    heard_everywhere((two, three), "2:with a new one", 3)
    heard_everywhere((one,), "2:with a new one", 1)


@case
def with_an_etcd_any_node_may_be_lost():
    with Cluster() as cluster:
        network = LocalNetwork(master=cluster.url(), standalone=None, harbor_timeout=TIMEOUT_S)
        one, two, three = network.start_all(3)
        use_groups(one)
        id = one.run("return mcgroup.create()")
        assert manager_of(one) == "1"
        use_groups(two, three)
        enter((one, two, three), id)
        one.kill()
        send_to_group(two, id, "without the first")
        heard_everywhere((two, three), "2:without the first", 1)
        second = three.run("return mcgroup.create()")
        assert manager_of(three) in ("2", "3")
        enter((two, three), second, tunnels=2)
        send_to_group(three, second, "a new one")
        heard_everywhere((two, three), "3:a new one", 2)
        two.run(f"mcgroup.release({id})")
        assert f"there is no group {id}" in failure(two.run, f"mcgroup.address({id})")


main()
