"""Channels and groups of nodes that live on but cannot reach each other for a while, each of which
reaches all others."""

import re

from evaluator import failure
from harness import case, main, wait_until
from sequence import World

# How long silent nodes are missed. The cases wait for that, and for nothing longer.
TIMEOUT_S = 2

MCGROUP = """
    mcgroup = require("mcgroup")
    heard = {}
    skynet.dispatch("lua", function(session, source, text)
        heard[#heard + 1] = text
    end)
"""


def wait_run(node, code, expected):
    wait_until(lambda: node.run(code) == expected, f"{code} returns {expected}")


class Parted:
    """A world of three nodes, of which the last two can be parted."""

    def __init__(self):
        self.world = World(3, harbor_timeout=TIMEOUT_S)
        self.nodes = self.world.nodes
        self._ends = self.world.hosts[1:]

    def part(self):
        """Nodes 2 and 3 lose each other. Waits until both have missed the other."""
        for host, other in (self._ends, self._ends[::-1]):
            self.world.network.lose(host, other)
        for node in self.nodes[1:]:
            node.wait_log("no sign of life")

    def join(self):
        for host in self._ends:
            self.world.network.heal(host)

    def wait_joined(self):
        """Waits until both have found the other again."""
        for node in self.nodes[1:]:
            node.wait_log(r"\[harbor\] Node [23] connected")


def counts_of_tunnels(nodes):
    """How many tunnels each node has, by its log."""
    counts = []
    for node in nodes:
        tunnels = re.findall(r"\[:(\w+)\] LAUNCH tunnel", node.text())
        ended = re.findall(r"KILL :(\w+)", node.text())
        ended = {f"{int(address, 16):08x}" for address in ended}
        counts.append(len(set(tunnels) - ended))
    return counts


def send_to_group(node, id, text):
    node.run(f'skynet.send(mcgroup.address({id}), "lua", "{text}")')


@case
def a_group_grows_together_again():
    parted = Parted()
    one, two, three = nodes = parted.nodes
    for node in nodes:
        node.run(MCGROUP)
    id = one.run("return mcgroup.create()")
    for node in nodes:
        node.run(f"mcgroup.enter({id})")
    wait_until(lambda: counts_of_tunnels(nodes) == [2, 2, 2], "all are tied together")
    send_to_group(two, id, "first")
    for node in nodes:
        wait_run(node, "return heard[1]", "first")
    parted.part()
    wait_until(lambda: counts_of_tunnels(nodes) == [2, 1, 1], "two ends have been taken away")
    send_to_group(two, id, "second")
    wait_run(one, "return heard[2]", "second")
    send_to_group(one, id, "third")
    for node in nodes:
        wait_run(node, "return heard[#heard]", "third")
    assert three.run('return table.concat(heard, " ")') == "first third"
    parted.join()
    wait_until(lambda: counts_of_tunnels(nodes) == [2, 2, 2], "all are tied together again")
    for node in (two, three):
        send_to_group(node, id, f"from {node.id}")
    for node in nodes:
        wait_until(lambda n=node: "from 2" in (text := n.run('return table.concat(heard, ",")'))
                   and "from 3" in text, "all hear all again")
        assert node.run("return #heard") == ("5" if node is not three else "4")


@case
def who_cannot_reach_the_manager_is_told_later_what_was_released():
    parted = Parted()
    one, two, three = parted.nodes
    two.run(MCGROUP)
    first = two.run("return mcgroup.create()")  # so node 2 has the manager
    second = two.run("return mcgroup.create()")
    for node in (one, three):
        node.run(MCGROUP)
    for node in parted.nodes:
        for id in (first, second):
            node.run(f"mcgroup.enter({id})")
    wait_until(lambda: counts_of_tunnels(parted.nodes) == [4, 4, 4], "all are tied together")
    address = three.run(f"return mcgroup.address({first})")
    parted.part()
    one.run(f"mcgroup.release({first})")
    send_to_group(three, second, "still here")
    wait_run(one, "return heard[#heard]", "still here")
    parted.join()
    wait_until(lambda: "call to invalid address" in failure(
        three.run, f'skynet.call({address}, "lua", "x") error("call to a group")'),
        "node 3 has ended it, too")
    assert f"there is no group {first}" in failure(three.run, f"mcgroup.address({first})")
    wait_until(lambda: counts_of_tunnels(parted.nodes) == [2, 2, 2], "the other is whole again")
    send_to_group(two, second, "whole again")
    for node in parted.nodes:
        wait_run(node, "return heard[#heard]", "whole again")
    third = three.run("return mcgroup.create()")
    two.run(f"mcgroup.enter({third})")


# Has the agent wait, like one that is slow, with each link to the manager, until it is let go.
SLOW_AGENT = """
    local agent = skynet.uniqueservice("group_agent")
    local manager = require("skynet.harbor").queryname("GROUP_MGR")
    function in_agent(code)
        return skynet.call(agent, "debug", "RUN", code)
    end
    assert(in_agent(([[
        local skynet, link = require("skynet"), require("skynet.link")
        local begin = link.link
        function link.link(address, f)
            while address == %d and not skynet.is_fast do
                skynet.is_waiting = true
                skynet.sleep(1)
            end
            return begin(address, f)
        end
    ]]):format(manager)))
"""


@case
def an_agent_that_was_missed_twice_reports_again():
    parted = Parted()
    _, two, three = parted.nodes
    for node in (two, three):
        node.run(MCGROUP)
        node.run("id = mcgroup.create()")  # so node 2 has the manager
    id = three.run("mcgroup.enter(id) return id")
    three.run(SLOW_AGENT)
    parted.part()
    parted.join()
    parted.wait_joined()
    is_waiting = 'return select(2, in_agent("print(require(\'skynet\').is_waiting)"))'
    wait_run(three, is_waiting, "true")
    parted.part()
    parted.join()
    parted.wait_joined()
    three.run("""in_agent("require('skynet').is_fast = true")""")
    wait_run(two, f"return (pcall(mcgroup.enter, {id}))", "true")
    wait_until(lambda: counts_of_tunnels((two, three)) == [1, 1], "both are tied together")


SUBSCRIBE = """
    heard, ends = {{}}, {{}}
    channel = require("skynet.multicast").new({{
        channel = {number},
        dispatch = function(_, _, text)
            heard[#heard + 1] = text
        end,
        ended = function(_, reason)
            ends[#ends + 1] = reason
        end,
    }})
    channel:subscribe()
"""


@case
def a_channel_ends_for_who_cannot_reach_it_and_can_be_had_again():
    parted = Parted()
    one, two, three = parted.nodes
    number = two.run('channel = require("skynet.multicast").new({}) return channel.channel')
    for node in (one, three):
        node.run(SUBSCRIBE.format(number=number))
    parted.part()
    wait_run(three, "return #ends", "1")
    assert "node, number 2" in failure(three.run, "channel:publish('x')")
    two.run('channel:publish("for one")')
    wait_run(one, "return heard[1]", "for one")
    assert one.run("return #ends") == "0"
    parted.join()

    def subscribes():
        try:
            three.run(SUBSCRIBE.format(number=number))
        except Exception as error:  # pylint: disable=broad-except
            assert "node, number 2" in str(error), error
            return False
        return True

    wait_until(subscribes, "node 3 reaches node 2 again")
    two.run('channel:publish("for both")')
    for node in (one, three):
        wait_run(node, "return heard[#heard]", "for both")
    assert three.run("return #heard") == "1"


main()
