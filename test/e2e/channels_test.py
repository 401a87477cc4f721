"""Channels (skynet.multicast) that several nodes use, and what becomes of them when a node dies and
is started again."""

import re

from evaluator import failure
from harness import case, main, wait_until
from nodes import LocalNetwork

# How long a dead node is missed: so long the cases with one last.
TIMEOUT_S = 2

SUBSCRIBE = """
    heard, ends = {{}}, {{}}
    channel = require("skynet.multicast").new({{
        channel = {number},
        dispatch = function(channel, source, ...)
            heard[#heard + 1] = skynet.harbor(source) .. ":" .. table.concat({{ ... }}, " ")
        end,
        ended = function(_, reason)
            ends[#ends + 1] = reason
        end,
    }})
    channel:subscribe()
    return channel.channel
"""


def subscribe(node, number="nil"):
    return node.run(SUBSCRIBE.format(number=number))


def new_channel(node):
    return node.run('channel = require("skynet.multicast").new({}) return channel.channel')


@case
def all_nodes_hear_what_one_publishes_in_its_order():
    one, two, three = nodes = LocalNetwork(harbor_timeout=TIMEOUT_S).start_all(3)
    number = new_channel(two)
    assert number == "2"
    for node in nodes:
        subscribe(node, number)
    count = 300
    clients = [node.client() for node in nodes]
    for client in clients:
        client.send(f"for i = 1, {count} do channel:publish(i) end")
    for client in clients:
        client.receive()
    for node in nodes:
        wait_until(lambda n=node: n.run("return #heard") == str(3 * count), "all was heard")
    orders = [node.run('return table.concat(heard, ",")') for node in nodes]
    assert orders[0] == orders[1] == orders[2], "one order for all"
    for node in (1, 2, 3):
        numbers = re.findall(rf"\b{node}:(\d+)", orders[0])
        assert numbers == [str(i) for i in range(1, count + 1)], f"the order of node {node}"
    one.run("channel:unsubscribe()")
    three.run('channel:publish("without one")')
    two.wait_run("return #heard", str(3 * count + 1))
    assert one.run("return #heard") == str(3 * count)
    three.run("channel:delete()")
    for node in (two, three):
        node.wait_run("return #ends", "1" if node is two else "0")


@case
def what_is_published_goes_once_to_each_node():
    one, two, _ = LocalNetwork(harbor_timeout=TIMEOUT_S).start_all(3)
    number = new_channel(one)
    listeners = 20
    two.run(f"""
        for _ = 1, {listeners} do
            local address = skynet.newservice("groups_listener")
            skynet.call(address, "lua", "subscribe", {number})
            listeners = listeners or {{}}
            table.insert(listeners, address)
        end""")
    daemon = "skynet.uniqueservice('multicastd')"
    before = int(two.run(f"return skynet.call({daemon}, 'debug', 'STAT').message"))
    one.run("for i = 1, 10 do channel:publish(i) end")
    heard = f"""
        local all = 0
        for _, address in ipairs(listeners) do
            all = all + skynet.call(address, "lua", "heard")
        end
        return all"""
    two.wait_run(heard, str(10 * listeners))
    after = int(two.run(f"return skynet.call({daemon}, 'debug', 'STAT').message"))
    assert 10 <= after - before <= 15, (before, after)  # and some of the test itself


@case
def channels_end_with_their_node():
    network = LocalNetwork(harbor_timeout=TIMEOUT_S)
    one, two, three = network.start_all(3)
    number = new_channel(two)
    subscribe(one, number)
    subscribe(three, number)
    mine = three.run('other = require("skynet.multicast").new({}) return other.channel')
    two.kill()
    for node in (one, three):
        node.wait_run("return #ends", "1")
        node.wait_log(rf"channel {number} has ended: ")
        assert "node, number 2" in failure(node.run, "channel:publish(1)")
        text = failure(subscribe, node, number)  # by now the registry may not know of the death
        assert "belongs to node 2: it is not in" in text or "node, number 2" in text, text
    assert subscribe(one, mine) == mine  # those of others are not touched
    three.run('other:publish("still here")')
    one.wait_run("return heard[1]", "3:still here")
    # The next life of the node makes channels with the same numbers, which are others.
    old = "old = channel"
    three.run(old)
    two = network.start(2)
    assert new_channel(two) == number
    assert failure(three.run, "old:publish(1)")
    assert failure(three.run, "old:subscribe()")
    subscribe(three, number)
    two.run('channel:publish("anew")')
    three.wait_run("return heard[1]", "2:anew")


@case
def a_subscriber_that_dies_is_dropped():
    network = LocalNetwork(harbor_timeout=TIMEOUT_S)
    one, two, three = network.start_all(3)
    number = new_channel(one)
    subscribe(two, number)
    subscribe(three, number)
    three.kill()
    one.run("for i = 1, 10 do channel:publish(i) end")
    two.wait_run("return #heard", "10")
    three = network.start(3)
    subscribe(three, number)
    one.run('channel:publish("welcome back")')
    three.wait_run("return heard[1]", "1:welcome back")
    assert three.run("return #heard") == "1"


main()
