"""What a service sends by a global name comes to whoever has it in the order in which it was sent,
while the name appears, disappears, and moves from service to service and from node to node."""

from harness import case, main
from nodes import LocalNetwork

SENDERS = 4  # on each node
ROUNDS = 12  # each with an owner on each node
# More than a sender sends before it has seen the name appear.
MESSAGES = 30


def start_senders(node):
    node.run(f"""
        senders = {{}}
        for i = 1, {SENDERS} do
            senders[i] = skynet.newservice("name_sender", "MOVING")
        end
    """)


def start_owner(node):
    node.run('owner = skynet.newservice("name_owner", "MOVING")')


def check_owner(node, senders):
    faults = node.run(f"""
        return table.concat(skynet.call(owner, "lua", "await", {senders}, {MESSAGES}), "; ")
    """)
    assert faults == "", faults


def stop_senders(node):
    """Stops them; the owner, of whatever node, has got all that they have sent."""
    result = node.run("""
        local wrong = {}
        for _, sender in ipairs(senders) do
            local sent = skynet.call(sender, "lua", "stop")
            local got, faults
            repeat
                got, faults = skynet.call("MOVING", "lua", "last", sender)
            until got == sent or #faults > 0
            table.move(faults, 1, #faults, #wrong + 1, wrong)
        end
        return table.concat(wrong, "; ")
    """)
    assert result == "", result


@case
def messages_by_name_keep_their_order_wherever_the_name_goes():
    network = LocalNetwork()
    nodes = network.start(1), network.start(2)
    for node in nodes:
        start_senders(node)
    for round in range(ROUNDS):
        for node in nodes:
            start_owner(node)
            check_owner(node, 2 * SENDERS)
            if round < ROUNDS - 1 or node is not nodes[-1]:
                node.run("skynet.kill(owner)")
    for node in nodes:
        stop_senders(node)


main()
