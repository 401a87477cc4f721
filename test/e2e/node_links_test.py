"""Networks that lose, delay and cut what nodes send each other: promises to senders hold."""

import time

from harness import DEADLINE_S, SANITIZERS, case, main, wait_until
from sequence import Traffic, World

CALM_S = 2 * DEADLINE_S
CUTS = 10 if SANITIZERS else 40


def wait_deaths(traffic, count):
    wait_until(lambda: traffic.counts()["deaths"] >= count, f"{count} senders told of a death")


def check_cuts(least, most, answers=200, **options):
    """The connections of two nodes are cut again and again, from the first on. answers: so many
    come behind the last cut."""
    world = World(2, wired={"cuts": (CUTS, least, most)}, harbor_timeout=CALM_S)
    traffic = Traffic(world.nodes, **options)
    traffic.begin()
    for wire in world.wires:
        wait_until(lambda w=wire: w.connections > CUTS, f"{CUTS} connections are cut",
                   4 * DEADLINE_S)
    traffic.wait_answers(answers)
    traffic.finish(loses=False)


@case
def connections_cut_in_the_handshake_and_behind_it_lose_nothing():
    check_cuts(1, 400)


@case
def connections_cut_in_the_middle_of_small_messages_lose_nothing():
    check_cuts(150, 30000)


@case
def connections_cut_in_the_middle_of_long_messages_lose_nothing():
    check_cuts(150, 1000000, answers=20, size=200000, burst=2, window=8, senders=1)


@case
def connections_that_are_all_reset_at_one_moment_lose_nothing():
    world = World(2, wired={}, harbor_timeout=CALM_S)
    traffic = Traffic(world.nodes)
    traffic.begin()
    for _ in range(5):
        traffic.wait_answers(100)
        for wire in world.wires:
            wire.reset()
    traffic.wait_answers(100)
    traffic.finish(loses=False)


@case
def a_cable_that_is_pulled_for_less_than_the_limit_loses_nothing():
    world = World(3, harbor_timeout=CALM_S)
    traffic = Traffic(world.nodes)
    traffic.begin()
    traffic.wait_answers(100)
    world.network.cut(world.hosts[1])
    time.sleep(1.5)
    world.network.mend(world.hosts[1])
    traffic.wait_answers(1000)
    traffic.finish(loses=False)


def check_silence(begin, end):
    """What makes two nodes deaf to each other for longer than the limit: both sides tell their
    senders; and when it ends, they find each other again."""
    world = World(2, harbor_timeout=3)
    traffic = Traffic(world.nodes)
    traffic.begin()
    traffic.wait_answers(100)
    begin(world)
    wait_deaths(traffic, 2 * 2)
    end(world)
    for node, other in (world.nodes, world.nodes[::-1]):
        receiver = traffic.receivers[other][0]
        call = f'return (pcall(skynet.call, {receiver}, "lua", "report"))'
        wait_until(lambda n=node, c=call: n.run(c) == "true", "the link is there again")
    traffic.wait_answers(100)
    traffic.finish()


@case
def a_cable_that_is_pulled_for_longer_is_told_on_both_sides():
    check_silence(lambda world: world.network.cut(world.hosts[1]),
                  lambda world: world.network.mend(world.hosts[1]))


@case
def packets_lost_from_the_first_to_the_second_are_told_on_both_sides():
    check_silence(lambda world: world.network.lose(world.hosts[0], world.hosts[1]),
                  lambda world: world.network.heal(world.hosts[1]))


@case
def packets_lost_from_the_second_to_the_first_are_told_on_both_sides():
    check_silence(lambda world: world.network.lose(world.hosts[1], world.hosts[0]),
                  lambda world: world.network.heal(world.hosts[0]))


@case
def some_packets_lost_are_no_alarm():
    world = World(2, harbor_timeout=CALM_S)
    one, two = world.hosts
    world.network.lose(one, two, 0.05)
    world.network.lose(two, one, 0.05)
    traffic = Traffic(world.nodes)
    traffic.begin()
    traffic.wait_answers(500)
    traffic.finish(loses=False)


@case
def a_delay_of_200_ms_is_no_alarm_and_requests_do_not_queue_for_it():
    world = World(2, wired={"delay_s": 0.2}, harbor_timeout=2)
    traffic = Traffic(world.nodes, senders=1)
    traffic.begin(burst=100, asks=1, window=2000)
    # One after the other they would take more than half an hour.
    traffic.wait_answers(5000)
    assert all(wire.connections for wire in world.wires)
    traffic.finish(loses=False)


main()
