"""Networks that lose, delay and cut what nodes send each other, and nodes that are slow or away:
what is promised to senders holds, and memory has a bound."""

import time

from harness import DEADLINE_S, SANITIZERS, case, main, wait_until
from sequence import Traffic, World, integer

CALM_S = 30
CUTS = 10 if SANITIZERS else 40
LIMIT_BYTES = 1 << 20
MEMORY_SLACK_KB = (200 if SANITIZERS else 24) * 1024


def wait_deaths(traffic, count):
    wait_until(lambda: traffic.counts()["deaths"] >= count, f"{count} senders told of a death")


def check_cuts(least, most, **options):
    """The connections of two nodes are cut again and again, from the first on."""
    world = World(2, wired={"cuts": (CUTS, least, most)}, harbor_timeout=CALM_S)
    traffic = Traffic(world.nodes, **options)
    traffic.begin()
    for wire in world.wires:
        wait_until(lambda w=wire: w.connections > CUTS, f"{CUTS} connections are cut",
                   4 * DEADLINE_S)
    traffic.wait_answers(200)
    traffic.finish(loses=False)


@case
def connections_cut_in_the_handshake_and_behind_it_lose_nothing():
    check_cuts(1, 400)


@case
def connections_cut_in_the_middle_of_small_messages_lose_nothing():
    check_cuts(150, 30000)


@case
def connections_cut_in_the_middle_of_long_messages_lose_nothing():
    check_cuts(150, 1000000, size=200000, burst=2, window=8, senders=1)


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
    world = World(2, harbor_timeout=1)
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


# --- memory ----------------------------------------------------------------------------------


def flood_to_absent_peer(policy, **options):
    """Two nodes; the cable of the second is pulled, and the first goes on to send. Returns the
    world, the traffic, and what the memory of the first was."""
    world = World(2, harbor_timeout=CALM_S, harbor_output_limit=LIMIT_BYTES,
                  harbor_output_policy=policy)
    traffic = Traffic(world.nodes[:1], senders=4)
    traffic.add_receivers(world.nodes[1])
    traffic.begin(burst=10, size=1000, **options)
    wait_until(lambda: traffic.counts()["sent"] > 1000, "messages are sent")
    world.network.cut(world.hosts[1])
    return world, traffic, world.nodes[0].rss_kb()


@case
def with_the_error_policy_what_an_absent_peer_gets_has_a_bound():
    world, traffic, memory_kb = flood_to_absent_peer("error", window=100000)
    wait_until(lambda: traffic.counts()["refused"] > 20000, "20000 messages are refused")
    grown_kb = world.nodes[0].rss_kb() - memory_kb
    assert grown_kb < 2 * LIMIT_BYTES // 1024 + MEMORY_SLACK_KB, f"{grown_kb} KB"
    world.network.mend(world.hosts[1])
    traffic.wait_answers(1000)
    traffic.finish()
    counts = traffic.counts()
    assert counts["told"] == counts["deaths"] == 0, counts


@case
def with_the_block_policy_senders_wait_and_nothing_is_lost():
    world, traffic, memory_kb = flood_to_absent_peer("block", asks=0)
    sent = []

    def stands_still():
        sent.append(traffic.counts()["sent"])
        return len(sent) > 50 and sent[-1] == sent[-50]

    wait_until(stands_still, "all senders wait")
    grown_kb = world.nodes[0].rss_kb() - memory_kb
    assert grown_kb < 2 * LIMIT_BYTES // 1024 + MEMORY_SLACK_KB, f"{grown_kb} KB"
    world.network.mend(world.hosts[1])
    wait_until(lambda: traffic.counts()["sent"] > sent[-1] + 5000, "senders go on")
    traffic.finish(loses=False)


@case
def a_receiver_that_computes_holds_up_nobody_else():
    world = World(2, harbor_timeout=2)
    traffic = Traffic(world.nodes)
    slow = integer(world.nodes[1], 'return skynet.newservice("sequence_receiver")')
    traffic.receivers[world.nodes[1]].append(slow)
    traffic.begin()
    traffic.wait_answers(100)
    world.nodes[1].run(f'skynet.send({slow}, "lua", "pause", 300)')
    traffic.wait_answers(1000)
    traffic.finish(loses=False)


@case
def a_full_mailbox_there_refuses_messages_and_hurts_no_request():
    world = World(2, harbor_timeout=CALM_S)
    traffic = Traffic(world.nodes[:1], senders=1)
    traffic.add_receivers(world.nodes[1], limit=100)
    traffic.begin(burst=400, asks=50, pause=1, window=20)
    receiver = traffic.receivers[world.nodes[1]][0]
    for _ in range(10):
        world.nodes[1].run(f'skynet.send({receiver}, "lua", "pause", 5)')
        traffic.wait_answers(10)
    traffic.finish()
    reasons = traffic.reasons()
    assert all("full" in text for text in reasons), reasons


main()
