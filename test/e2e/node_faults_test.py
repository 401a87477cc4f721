"""Nodes that crash, come back, or stand still, while services of all nodes send each other numbered
messages: none is lost without an error to its sender, doubled or out of order, no request stays
pending, and no new service gets what was for an old one."""

import random
import time

from harness import DEADLINE_S, SANITIZERS, case, main, wait_until
from sequence import Traffic, World, integer

SLOW = 3 if SANITIZERS else 1
# Never reached in a case that wants no alarm.
CALM_S = 2 * DEADLINE_S
STORM_ROUNDS = 2 if SANITIZERS else 4


def wait_deaths(traffic, count):
    """Waits until so many senders were told of a node's end."""
    wait_until(lambda: traffic.counts()["deaths"] >= count, f"{count} senders told of a death")


def wait_goes_on(traffic, answers=100):
    """Every link carries requests again, and their answers."""
    traffic.begin()
    traffic.wait_answers(answers)


@case
def three_nodes_lose_nothing():
    world = World(3, harbor_timeout=CALM_S)
    traffic = Traffic(world.nodes)
    traffic.begin()
    traffic.wait_answers(1000)
    traffic.finish(loses=False)


@case
def a_killed_node_is_told_to_all_who_sent_there():
    world = World(3, harbor_timeout=2 * SLOW)
    traffic = Traffic(world.nodes)
    traffic.begin()
    traffic.wait_answers(100)
    third = world.nodes[2]
    third.kill()
    dead = traffic.forget(third)
    wait_deaths(traffic, len(traffic.senders))
    wait_goes_on(traffic)
    traffic.finish(dead)


@case
def calls_that_wait_for_a_killed_node_fail_and_say_why():
    world = World(2, harbor_timeout=2 * SLOW)
    one, two = world.nodes
    sleeper = integer(two, 'return skynet.newservice("sequence_receiver")')
    two.run(f'skynet.send({sleeper}, "lua", "pause", 100000)')
    waiting = one.client()
    waiting.send('local ok, text = pcall(skynet.call, '
                 f'{sleeper}, "lua", "ask", 1, {sleeper}, 0, "") '
                 "return tostring(ok) .. ' ' .. text")
    # It is on its way when a call that begins behind it is answered.
    other = integer(two, 'return skynet.newservice("sequence_receiver")')
    assert one.run(f'return skynet.call({other}, "lua", "ask", 1, {other}, 0, "")') == "1"
    two.kill()
    text = waiting.receive()
    assert text.startswith("false ") and "node" in text, text


@case
def who_restarts_at_once_never_gets_what_was_for_its_former_self():
    world = World(3)
    traffic = Traffic(world.nodes)
    traffic.begin()
    traffic.wait_answers(100)
    third = world.nodes[2]
    third = third.restart()
    dead = traffic.forget(world.nodes[2])
    third.wait_ready()
    traffic.add_receivers(third)
    traffic.add_senders(third)
    new = traffic.receivers[third]
    assert not set(new) & set(dead), f"{new} were given before: {dead}"
    # The others go on to send to the old handles, too.
    wait_goes_on(traffic, 300)
    wait_deaths(traffic, 2 * 2)
    traffic.finish(dead)


@case
def a_node_that_stands_still_for_less_than_the_limit_loses_nothing():
    world = World(3, harbor_timeout=CALM_S)
    traffic = Traffic(world.nodes)
    traffic.begin()
    traffic.wait_answers(100)
    world.nodes[1].halt()
    time.sleep(1.5)
    world.nodes[1].go_on()
    traffic.wait_answers(300)
    traffic.finish(loses=False)


@case
def a_node_that_stands_still_for_longer_is_given_up_and_comes_back():
    world = World(3, harbor_timeout=3)
    traffic = Traffic(world.nodes)
    traffic.begin()
    traffic.wait_answers(100)
    second = world.nodes[1]
    others = [pair for pair in traffic.senders if pair[0] is not second]
    all_senders, traffic.senders = traffic.senders, others
    second.halt()
    wait_deaths(traffic, len(others))
    second.go_on()
    traffic.senders = all_senders
    # It learns that it was given up: its own senders are told of both other nodes.
    wait_deaths(traffic, len(others) + 2 * 2)
    wait_answers_everywhere(traffic)
    traffic.finish()


def wait_answers_everywhere(traffic):
    """Waits until each sender has got answers from each receiver of other nodes."""
    for node, _ in traffic.senders:
        for other, receivers in traffic.receivers.items():
            for receiver in receivers if other is not node else ():
                wait_until(lambda n=node, r=receiver: is_answered(n, r),
                           f"node {other.id} answers node {node.id}")


def is_answered(node, receiver):
    return node.run('return (pcall(skynet.call, %d, "lua", "report"))' % receiver) == "true"


@case
def five_nodes_in_a_storm_of_restarts_find_each_other_again():
    world = World(5, harbor_timeout=2 * SLOW)
    traffic = Traffic(world.nodes, senders=1)
    traffic.begin()
    traffic.wait_answers(100)
    chance = random.Random(5)
    dead = []
    nodes = list(world.nodes)
    for _ in range(STORM_ROUNDS):
        places = chance.sample(range(5), 3)
        for place in places:
            dead += traffic.forget(nodes[place])
            nodes[place] = nodes[place].restart()
        for place in places:
            nodes[place].wait_ready()
            traffic.add_receivers(nodes[place])
            traffic.add_senders(nodes[place])
        traffic.begin()
    wait_answers_everywhere(traffic)
    traffic.wait_answers(300)
    traffic.finish(dead)


main()
