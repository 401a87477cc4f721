"""Services of other nodes, as those of this one see them: calls by name, links, forwarded requests,
traces, gates whose agents are elsewhere, and what the death of a node ends."""

import os
import struct
import tempfile

from evaluator import failure
from harness import DEADLINE_S, case, connect, free_port, main
from nodes import LocalNetwork

MIB = 1 << 20
FRAME = struct.pack(">H", 1000) + b"x" * 1000

ECHO = 'return skynet.address(skynet.newservice("node_echo"))'


def two_nodes(**settings):
    network = LocalNetwork(harbor_timeout=2, **settings)
    return network, network.start(1), network.start(2)


def start_echo(node):
    """Starts a service that answers with what it is asked; returns its address for Lua."""
    return "0x" + node.run(ECHO)[1:]


@case
def a_call_by_name_ends_with_the_node_that_has_got_it():
    _, first, second = two_nodes()
    early = first.client()
    early.send('return skynet.call("LATE", "lua", "never")')  # nobody has the name yet
    late = start_echo(second)
    second.run(f'harbor.globalname("LATE", {late})')
    first.wait_run('return skynet.address(harbor.queryname("LATE"))', ":" + late[2:])
    known = first.client()
    known.send('return skynet.call("LATE", "lua", "never")')
    assert first.run('return (skynet.call("LATE", "lua", "hello"))') == "hello"
    second.kill()
    for pending in (early, known):
        assert "call failed: node 2 is gone" in failure(pending.receive)


@case
def a_call_by_name_ends_with_the_service_that_has_got_it():
    _, first, second = two_nodes()
    pending = first.client()
    pending.send('return skynet.call("MORTAL", "lua", "wait")')
    address = start_echo(second)
    second.run(f'harbor.globalname("MORTAL", {address})')
    first.wait_run('return skynet.address(harbor.queryname("MORTAL"))', ":" + address[2:])
    # What has waited goes before this.
    assert first.run('return (skynet.call("MORTAL", "lua", "hello"))') == "hello"
    second.run(f"skynet.kill({address})")
    assert "it was killed by" in failure(pending.receive)


@case
def a_link_tells_of_the_end_of_a_service_and_of_its_node():
    _, first, second = two_nodes()
    mortal, longer, undone = (start_echo(second) for _ in range(3))
    first.run(f"""
        local link = require("skynet.link").link
        ends = {{}}
        for _, address in ipairs({{ {mortal}, {longer} }}) do
            link(address, function(who, why)
                ends[#ends + 1] = skynet.address(who) .. " " .. why
            end)
        end
        link({undone}, function() ends[#ends + 1] = "not wanted" end)()
    """)
    assert first.run(f'return (skynet.call({longer}, "lua", "hello"))') == "hello"
    second.run(f"skynet.kill({undone}) skynet.kill({mortal})")
    first.wait_run("return #ends", "1")
    assert first.run("return ends[1]").startswith(f":{mortal[2:]} ")
    assert "it was killed by" in first.run("return ends[1]")
    second.kill()
    first.wait_run("return #ends", "2")
    assert first.run("return ends[2]").startswith(f":{longer[2:]} node 2 is gone")


@case
def a_request_is_passed_on_to_another_node_and_answered_from_there():
    _, first, second = two_nodes()
    address = start_echo(second)
    launch = f'return skynet.address(skynet.launch("tunnel", ":{address[2:]}"))'
    tunnel = "0x" + first.run(launch)[1:]
    assert first.run(f'return (skynet.call({tunnel}, "lua", "hello"))') == "hello"
    # And from the other side, twice over the network.
    assert second.run(f'return (skynet.call({tunnel}, "lua", "hello"))') == "hello"
    second.run(f"skynet.kill({address})")
    assert "call failed" in failure(first.run, f'return (skynet.call({tunnel}, "lua", "x"))')


@case
def a_trace_goes_on_another_node():
    _, first, second = two_nodes()
    address = start_echo(second)
    first.run(f'skynet.fork(function() skynet.trace() skynet.call({address}, "lua", "hello") end)')
    tag = first.wait_log(r"<TRACE (:01\w+-\d+)> \d+ trace").group(1)
    second.wait_log(rf"<TRACE {tag}> \d+ request")
    second.wait_log(rf"<TRACE {tag}> \d+ response")


@case
def a_flood_for_a_slow_service_on_another_node_stops_at_the_gate():
    fifo = f"{tempfile.gettempdir()}/skynet-test-{os.getpid()}"
    os.mkfifo(fifo)
    try:
        _, first, second = two_nodes()
        slow = second.run(f'return skynet.address(skynet.launch("stuck", "{fifo}"))')
        port = free_port()
        first.run(f"""
            local gate = skynet.launch("gate", "u16be", "!", "127.0.0.1:{port}", "0", "10")
            require("skynet.core").send(gate, 0, 0, "broker {slow}")
        """)
        with connect(port) as client:
            client.setblocking(False)
            total, idle = 0, 0
            while idle < 20:  # until neither the kernel nor the gate takes more
                try:
                    total += client.send(FRAME * 100)
                    idle = 0
                except BlockingIOError:
                    idle += 1
                    assert first.run("return 'alive'") == "alive"  # it has had its turn
                assert total < 32 * MIB, "it is read without end"
            with open(fifo, "wb"):  # who waits for this goes on
                pass
            client.setblocking(True)
            client.sendall(FRAME * (total // len(FRAME)))  # it is read on
            second.kill()
            client.settimeout(DEADLINE_S)
            try:
                while True:  # until a probe finds that the node is gone
                    client.sendall(FRAME * 100)
            except (BrokenPipeError, ConnectionResetError):
                pass
            first.wait_log(rf"\[gate\] Service {slow} of connection \d+ is gone")
    finally:
        os.unlink(fifo)


main()
