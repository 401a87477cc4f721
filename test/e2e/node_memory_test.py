"""Limits between nodes: what waits for a node that is away or slow has a bound, with either policy,
and is counted; a message that is too long is refused, where it is sent and with a reason."""

import re

from harness import DEADLINE_S, SANITIZERS, case, main, wait_until
from sequence import Traffic, World, integer

CALM_S = 2 * DEADLINE_S
LIMIT_BYTES = 1 << 20
MESSAGE_BYTES = 1000
MESSAGE_LIMIT = 100000
MEMORY_SLACK_KB = (200 if SANITIZERS else 24) * 1024
# Chunks that use messages of type "text", whose size is that of their string.
TEXT = ('if not TEXT then TEXT = true skynet.register_protocol { name = "text", '
        'id = skynet.PTYPE_TEXT, unpack = skynet.tostring, '
        'pack = function(text) return text end } end ')


def stat(node, peer):
    """What the harbor of a node has counted for another node."""
    handle = re.search(rf"\[:(\w+)\] \[harbor\] Node {node.id} listens", node.text()).group(1)
    text = node.run(TEXT + f'return skynet.call(0x{handle}, "text", "stat")')
    line = re.search(rf"node={peer.id} .*", text).group(0)
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)(?=\s|$)", line)}


def at_the_limit(counted):
    """The counters, if they say that no more is taken. A word from before the cable was pulled may
    still make room."""
    is_there = counted["waiting_bytes"] - counted["over_bytes"] >= LIMIT_BYTES
    return counted if is_there else None


def flood_to_absent_peer(policy, **options):
    """Two nodes; the cable of the second is pulled, and the first goes on to send. Returns the
    world, the traffic, and what the memory of the first was."""
    world = World(2, harbor_timeout=CALM_S, harbor_output_limit=LIMIT_BYTES,
                  harbor_output_policy=policy)
    traffic = Traffic(world.nodes[:1], senders=4)
    traffic.add_receivers(world.nodes[1])
    traffic.begin(burst=10, size=MESSAGE_BYTES, **options)
    wait_until(lambda: traffic.counts()["sent"] > 1000, "messages are sent")
    world.network.cut(world.hosts[1])
    return world, traffic, world.nodes[0].rss_kb()


@case
def with_the_error_policy_what_an_absent_peer_gets_has_a_bound():
    world, traffic, memory_kb = flood_to_absent_peer("error", window=100000)
    wait_until(lambda: traffic.counts()["refused"] > 5000, "5000 messages are refused")
    # The message that reaches the limit, and what was in the harbor's mailbox then, are taken.
    counted = wait_until(lambda: at_the_limit(stat(*world.nodes)), "the limit is reached")
    within = counted["waiting_bytes"] - counted["over_bytes"]
    assert within < LIMIT_BYTES + 2 * MESSAGE_BYTES, counted
    grown_kb = world.nodes[0].rss_kb() - memory_kb
    most_kb = (LIMIT_BYTES + counted["over_bytes"]) // 1024 + MEMORY_SLACK_KB
    assert grown_kb < most_kb, f"{grown_kb} KB, {most_kb} KB at most"
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
def a_burst_beyond_the_limit_is_no_reason_to_give_a_node_up():
    for policy in ("error", "block"):
        world = World(2, harbor_timeout=CALM_S, harbor_output_limit=LIMIT_BYTES,
                      harbor_output_policy=policy)
        traffic = Traffic(world.nodes[:1], senders=2)
        traffic.add_receivers(world.nodes[1])
        # Many times the limit, by senders that look up only behind it.
        traffic.begin(burst=10000, size=1000, asks=0, most=20000)
        wait_until(lambda t=traffic: t.counts()["sent"] == 2 * 20000, "all is sent")
        counts = traffic.finish(loses=policy == "error")
        assert counts["deaths"] == 0, counts


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


# --- long messages ---------------------------------------------------------------------------

ECHO = TEXT + (
    'skynet.dispatch("text", function(_, _, text) skynet.ret(#text .. text:sub(-5)) end) '
    "return skynet.self()")


def ask(node, address, size):
    return node.run(
        TEXT + f'local ok, answer = pcall(skynet.call, {address}, "text", '
        f'("x"):rep({size} - 5) .. "12345") '
        'return tostring(ok) .. " " .. tostring(answer)')


@case
def a_message_at_the_limit_arrives_and_one_byte_more_is_refused():
    world = World(2, harbor_timeout=CALM_S, harbor_message_limit=MESSAGE_LIMIT)
    one, two = world.nodes
    echo = integer(two, ECHO)
    assert ask(one, echo, MESSAGE_LIMIT) == f"true {MESSAGE_LIMIT}12345"
    refused = ask(one, echo, MESSAGE_LIMIT + 1)
    assert refused.startswith("false ") and str(MESSAGE_LIMIT) in refused, refused
    assert "harbor_message_limit" in refused, refused
    assert ask(one, echo, 65536) == "true 6553612345"  # it is as long as one frame
    assert ask(one, echo, 65537) == "true 6553712345"


@case
def the_smaller_limit_of_both_nodes_counts():
    world = World(2, harbor_timeout=CALM_S)
    one = world.nodes[0]
    third = world.add_node(harbor_message_limit=MESSAGE_LIMIT).wait_ready()
    echo = integer(third, ECHO)
    assert ask(one, echo, MESSAGE_LIMIT) == f"true {MESSAGE_LIMIT}12345"
    assert ask(one, echo, MESSAGE_LIMIT + 1).startswith("false ")
    echo = integer(one, ECHO)
    assert ask(third, echo, MESSAGE_LIMIT + 1).startswith("false ")


@case
def an_answer_that_is_too_long_ends_the_call():
    world = World(2, harbor_timeout=CALM_S, harbor_message_limit=MESSAGE_LIMIT)
    one, two = world.nodes
    address = integer(two, TEXT + (
        'skynet.dispatch("text", function(_, _, size) skynet.ret(("x"):rep(tonumber(size))) end) '
        "return skynet.self()"))
    call = (f'local ok, answer = pcall(skynet.call, {address}, "text", "%d") '
            "return tostring(ok) .. ' ' .. (ok and #answer or answer)")
    assert one.run(TEXT + call % MESSAGE_LIMIT) == f"true {MESSAGE_LIMIT}"
    refused = one.run(TEXT + call % (MESSAGE_LIMIT + 1))
    assert refused.startswith("false ") and "harbor_message_limit" in refused, refused


@case
def a_long_message_of_16_mb_goes_and_comes():
    world = World(2, harbor_timeout=CALM_S)
    echo = integer(world.nodes[1], ECHO)
    for _ in range(3):
        assert ask(world.nodes[0], echo, 16000000) == "true 1600000012345"


main()
