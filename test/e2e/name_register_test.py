"""Global names for services of other nodes: who asks for one need not be where the service is. The
name belongs to the service all the same, and ends with it and with its node."""

import re

from etcd_cluster import Cluster
from evaluator import failure
from harness import case, main
from nodes import LocalNetwork

ECHO = 'return skynet.address(skynet.newservice("node_echo"))'
HELLO = 'return (skynet.call("{0}", "lua", "hello"))'
REGISTER = 'return skynet.address(skynet.call(".cslave", "lua", "REGISTER", "{0}", {1}))'
NAME_COUNT = 'return skynet.call(".cslave", "lua", "STAT").name_count'


def start_echo(node):
    """Starts a service that answers with what it is asked; returns its address for Lua."""
    return "0x" + node.run(ECHO)[1:]


def owner(address):
    return ":" + address[2:]


def check_names(network):
    """A network of two nodes without names of its own but those that were there."""
    first, second = network.start(1), network.start(2)
    base = int(first.run(NAME_COUNT))
    near, far = start_echo(first), start_echo(second)
    # Node 1 names a service of node 2, and it is known on both.
    assert first.run(REGISTER.format("FAR", far)) == owner(far)
    for node in (first, second):
        assert node.run(HELLO.format("FAR")) == "hello"
    # skynet.name returns at once.
    second.run(f'skynet.name("NEAR", {near})')
    assert second.run(HELLO.format("NEAR")) == "hello"
    # The first owner keeps a name, wherever it is asked for; the log says so where that was.
    assert second.run(REGISTER.format("FAR", near)) == owner(far)
    assert first.run(REGISTER.format("NEAR", far)) == owner(near)
    first.run(f'harbor.globalname("NEAR", {far})')
    first.wait_log(f"error: the global name NEAR is taken by {owner(near)}")
    # It ends with its service; then somebody else may have it.
    second.run(f"skynet.kill({far})")
    for node in (first, second):
        node.wait_run(NAME_COUNT, str(base + 1))
    other = start_echo(second)
    assert first.run(REGISTER.format("FAR", other)) == owner(other)
    # Who has asked is answered by node 2, and may hear of the name itself a little later.
    for node in (first, second):
        node.wait_run(NAME_COUNT, str(base + 2))
    return first, second, far, other


@case
def a_service_of_another_node_gets_a_name():
    network = LocalNetwork(harbor_timeout=2)
    first, second, _, _ = check_names(network)
    # It ends with the node of its service, not with the one that has asked.
    names = first.run(NAME_COUNT)
    second.kill()
    first.wait_run(NAME_COUNT, str(int(names) - 1))
    second = network.start(2)
    new = start_echo(second)
    assert first.run(REGISTER.format("FAR", new)) == owner(new)
    third = network.start(3)
    assert third.run(REGISTER.format("THIRD", new)) == owner(new)
    third.stop()
    first.wait_run("return harbor.members()[3]", "nil")
    assert first.run(HELLO.format("THIRD")) == "hello"


@case
def the_same_with_an_etcd():
    with Cluster() as cluster:
        network = LocalNetwork(master=cluster.url(), standalone=None, harbor_timeout=2)
        first, second, _, other = check_names(network)
        assert cluster.get()["/test/name/FAR"] == owner(other)
        second.stop()
        first.wait_run("return harbor.members()[2]", "nil")
        assert "/test/name/FAR" not in cluster.get()


@case
def an_address_that_cannot_have_a_name_is_refused():
    network = LocalNetwork(harbor_timeout=2)
    first, second = network.start(1), network.start(2)
    echo = start_echo(second)
    for name, address, text in (
        ("X", "0x0200ffff", "X cannot be registered for :0200ffff: .*there is no such service"),
        ("X", "0x0100ffff", "X cannot be registered for :0100ffff: there is no such service"),
        ("X", "0x09000001", "X cannot be registered for :09000001: .*no link to its node"),
        ("X", "0x02000000", "bad argument 'address': a handle expected"),
        ("X", "'junk'", "bad argument 'address': a handle expected"),
        ("X Y", echo, "bad argument 'name': a global name"),
        (".X", echo, "bad argument 'name': a global name"),
    ):
        problem = failure(first.run, REGISTER.format(name, address))
        assert re.search(text, problem), problem
    # Asked without waiting, it is a line in the log.
    first.run('skynet.name("GONE", 0x0200ffff)')
    first.wait_log("error: the global name GONE cannot be registered for :0200ffff: .*no such")
    # What others say to the .cslave of a node is checked there, too.
    for message in ('"REGISTER"', '"REGISTER", {}, {}', '"REGISTER", "X", 0x01000001 + 0.5',
                    "nil", '"NO_SUCH"', '"CONNECT", {}'):
        failure(first.run, f'skynet.call(2 << 24, "lua", {message})')
    assert first.run(REGISTER.format("FINE", echo)) == owner(echo)
    # Nobody takes a message to the node itself for its death.
    first.run('skynet.send(2 << 24, "lua", "junk")')
    assert first.run(HELLO.format("FINE")) == "hello"


@case
def who_asks_for_a_name_does_not_wait_for_ever():
    network = LocalNetwork(harbor_timeout=3)
    first, second = network.start(1), network.start(2)
    echo = start_echo(second)
    first.run("harbor.connect(2)")
    second.halt()
    try:
        problem = failure(first.run, REGISTER.format("LOST", echo))
        assert f"LOST cannot be registered for {owner(echo)}" in problem, problem
        # It is known to be away now.
        problem = failure(first.run, REGISTER.format("LOST", echo))
        assert "no link to its node, number 2" in problem, problem
    finally:
        second.go_on()
    first.run("harbor.connect(2)")
    second.wait_run("return harbor.members()[1].up", "true")
    assert first.run(REGISTER.format("FOUND", echo)) == owner(echo)
    assert first.run(HELLO.format("FOUND")) == "hello"


main()
