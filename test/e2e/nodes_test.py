"""Networks of several nodes on loopback: names, events, unique services, the datacenter, and what
happens when a node, or the master, dies or comes back."""

import re
import socket
import struct

from certificates import Files
from etcd_fake import Holder
from evaluator import failure
from harness import case, connect, free_port, main, wait_closed, wait_until
from nodes import LocalNetwork

# Starts a service that answers with what it is asked.
ECHO = 'echo = skynet.newservice("node_echo") return skynet.address(echo)'
# SERVICE and DATACENTER are always there.
NAME_COUNT = 'return skynet.call(".cslave", "lua", "STAT").name_count'
CALL = 'return (skynet.call({0}, "lua", "hello"))'


def start_echo(node, name=None):
    """Starts it on the node; returns its address as text for Lua."""
    address = "0x" + node.run(ECHO)[1:]
    if name:
        node.run(f'harbor.globalname("{name}", {address})')
    return address


@case
def two_nodes_talk():
    network = LocalNetwork()
    first, second = network.start(1), network.start(2)
    addresses = start_echo(first), start_echo(second)
    for node in (first, second):
        for address in addresses:
            assert node.run(CALL.format(address)) == "hello"
    assert second.run("return harbor.members()[1].up") == "true"
    assert first.run("return harbor.members()[2].address").startswith("127.0.0.1:")


@case
def the_first_handles_and_lines_are_those_that_users_know():
    network = LocalNetwork()
    first = network.start(1)
    for line in (
        "01000003. LAUNCH snlua launcher",
        "01000004. LAUNCH snlua cmaster",
        r"01000004. master listen socket 127.0.0.1:\d+",
        "01000005. LAUNCH snlua cslave",
        r"01000005. slave connect to master 127.0.0.1:\d+",
        r"01000006. LAUNCH harbor 1 16777221",
        r"01000004. Harbor 1 \(fd=\d+\) report 127.0.0.1:\d+",
        "01000005. Waiting for 0 harbors",
        "01000005. Shakehand ready",
        "01000007. LAUNCH snlua datacenterd",
        "01000008. LAUNCH snlua service_mgr",
        "01000009. LAUNCH snlua evaluator",
    ):
        assert any_line(first, line), f"{line}\n{first.text()}"
    second = network.start(2)
    for line in (
        "02000004. LAUNCH snlua cslave",
        "02000005. LAUNCH harbor 2 33554436",
        "02000004. Waiting for 1 harbors",
        "02000004. Shakehand ready",
        "02000006. LAUNCH snlua service_mgr",
        "02000007. LAUNCH snlua evaluator",
    ):
        assert any_line(second, line), f"{line}\n{second.text()}"


def any_line(node, pattern):
    return any(re.search(pattern, line) for line in node.output.all())


@case
def a_global_name_is_known_everywhere():
    network = LocalNetwork()
    first, second = network.start(1), network.start(2)
    waiting = first.client()
    waiting.send('return skynet.address(harbor.queryname("ECHO"))')
    calling = first.client()
    calling.send('return skynet.call("ECHO", "lua", "by name")')  # waits for the name
    address = start_echo(second, "ECHO")
    assert waiting.receive() == ":" + address[2:]
    assert calling.receive() == "by name"
    third = network.start(3)  # it is told of names that were there before
    assert third.run(CALL.format('"ECHO"')) == "hello"
    # Its name ends with the service.
    second.run("skynet.kill(echo)")
    for node in (first, second, third):
        node.wait_run(NAME_COUNT, "2")
    start_echo(third, "ECHO")
    assert first.run(CALL.format('"ECHO"')) == "hello"


@case
def a_taken_name_stays_with_its_owner():
    network = LocalNetwork()
    first, second = network.start(1), network.start(2)
    owner = start_echo(first, "MINE")
    second.run('return harbor.queryname("MINE")')
    start_echo(second, "MINE")
    second.wait_log(f"error: the global name MINE is taken by :{owner[2:]}")
    assert second.run('return skynet.address(harbor.queryname("MINE"))') == ":" + owner[2:]


@case
def services_hear_of_nodes():
    network = LocalNetwork()
    first = network.start(1)
    first.run("""
        events = {}
        unwatch = harbor.watch(function(kind, id, reason)
            table.insert(events, kind .. " " .. id)
            skynet.error("event " .. kind .. " " .. id .. " " .. tostring(reason))
        end)
    """)
    linked, connected, same = first.client(), first.client(), first.client()
    connected.send("harbor.connect(2) return 'connected'")
    second = network.start(2)
    assert connected.receive() == "connected"
    first.wait_log("event up 2 nil")
    linked.send("harbor.link(2) return 'gone'")
    same.send("harbor.link(3) return 'never there'")
    assert same.receive() == "never there"
    second.stop()
    assert linked.receive() == "gone"
    first.wait_log("event down 2 it has ended")
    first.run("unwatch()")
    network.start(2)
    first.run("harbor.connect(2)")
    assert first.run("return table.concat(events, ' ')") == "up 2 down 2"


@case
def a_deadline_of_all_calls_ends_no_watch():
    network = LocalNetwork(calltimeout=10)
    first = network.start(1)
    first.run("""harbor.watch(function(kind, id) skynet.error("event", kind, id) end)""")
    second = network.start(2)
    first.wait_log("event up 2")
    second.kill()
    network.start(2)  # takes longer than the deadline
    first.wait_log("event down 2")
    first.wait_log("event up 2")
    first.kill()
    network.start(1)
    unique = 'return skynet.address(skynet.uniqueservice(true, "simpledb"))'
    third = network.start(3)
    wait_until(lambda: str(attempt(third, unique)).startswith(":01"), "SERVICE is there")


@case
def a_killed_node_comes_back_under_its_id():
    network = LocalNetwork(harbor_timeout=2)
    first, second = network.start(1), network.start(2)
    address = start_echo(second, "ECHO")
    assert first.run(CALL.format(address)) == "hello"
    pending = first.client()
    pending.send('return skynet.call("ECHO", "lua", "never")')
    first.wait_run('return skynet.address(harbor.queryname("ECHO"))', ":" + address[2:])
    second.kill()
    again = network.start(2)
    assert "call failed" in failure(pending.receive)
    assert "call" in failure(first.run, CALL.format(address))
    first.wait_run(NAME_COUNT, "2")
    new = start_echo(again, "ECHO")
    assert int(new, 16) > int(address, 16)  # its number is never given twice
    first.wait_run('return skynet.address(harbor.queryname("ECHO"))', ":" + new[2:])
    assert first.run(CALL.format(new)) == "hello"
    assert again.run(CALL.format('"ECHO"')) == "hello"
    assert "call" in failure(first.run, CALL.format(address))


@case
def the_master_may_be_killed_and_come_back():
    network = LocalNetwork(harbor_timeout=2)
    first, second, third = network.start(1), network.start(2), network.start(3)
    old = start_echo(first, "OLD")
    kept = start_echo(second, "KEPT")
    assert third.run(CALL.format('"OLD"')) == "hello"
    assert third.run(CALL.format('"KEPT"')) == "hello"  # the master has it
    lost = third.client()
    lost.send('harbor.linkmaster() return "lost"')
    third.run("return harbor.members()[2].up")
    first.kill()
    assert lost.receive() == "lost"
    # The others go on as if nothing had happened; what is new waits.
    assert third.run(CALL.format('"KEPT"')) == "hello"
    late = third.client()
    late.send('return harbor.queryname("LATE")')
    second_late = start_echo(second, "LATE")
    first = network.start(1)
    assert int(late.receive()) == int(second_late, 16)
    for node in (second, third):
        node.wait_log("Master is back")
    for node in (first, second, third):
        assert node.run(CALL.format(kept)) == "hello"
        assert node.run(CALL.format('"LATE"')) == "hello"
    assert "call" in failure(third.run, CALL.format(old))
    # Where the others came back behind its start, the word of the numbers is on its way.
    last = 'require("skynet.core").addresscommand("LASTHANDLE")'
    first.wait_run(f"return {last} >= {int(old, 16) & 0xFFFFFF}", "true")
    new = start_echo(first, "OLD")
    assert int(new, 16) > int(old, 16)
    third.wait_run('return skynet.address(harbor.queryname("OLD"))', ":" + new[2:])
    assert third.run(CALL.format('"OLD"')) == "hello"
    assert third.run("return harbor.members()[1].up") == "true"
    assert "Waiting" not in second.text().split("Master disconnect")[1]


@case
def a_second_node_with_the_same_id_is_refused():
    network = LocalNetwork()
    first = network.start(1)
    second = network.start(2)
    twin = network.begin(2, address=f"127.0.0.1:{free_port()}")
    twin.expect_status(1)
    twin.wait_log("error: the node can't start: .*node 2 cannot join the network: the master "
                  "refuses this node: node 2 is there already, and lives")
    twin.wait()
    first.wait_log("error: 127.0.0.1:.* is refused: node 2 is there already, and lives")
    address = start_echo(second)
    assert first.run(CALL.format(address)) == "hello"


@case
def another_secret_is_refused():
    network = LocalNetwork()
    first = network.start(1, harbor_secret="right")
    stranger = network.begin(2, harbor_secret="wrong")
    stranger.expect_status(1)
    stranger.wait_log(r"error: the node can't start: .*the secret is another one "
                      r"\(config key harbor_secret\)")
    stranger.wait()
    first.wait_log("error: 127.0.0.1:.* is refused: .*the secret is another one")
    friend = network.start(2, harbor_secret="right")
    assert friend.run(CALL.format(start_echo(first))) == "hello"


@case
def garbage_at_the_port_of_the_master_is_told_and_harms_nobody():
    network = LocalNetwork()
    first = network.start(1)
    for data, text in (
        (b"GET / HTTP/1.0\r\n\r\n", "a packet of 1195725856 bytes was announced; at most 1024"),
        (struct.pack(">I", 0xFFFFFFFF), "a packet of 4294967295 bytes was announced"),
        (struct.pack(">I", 3) + b"\xff\xfe\xfd", "what came cannot be unpacked"),
    ):
        stranger = connect(network.master_port)
        stranger.sendall(data)
        assert text.encode() in wait_closed(stranger)
        first.wait_log("error: 127.0.0.1:.* is refused: " + text)
    half = connect(network.master_port)
    half.sendall(b"\0\0")
    half.shutdown(socket.SHUT_WR)
    wait_closed(half)
    second = network.start(2)
    assert second.run(CALL.format(start_echo(first))) == "hello"


@case
def nodes_may_speak_tls_and_refuse_who_does_not():
    with Files() as files:
        trusted = {
            "harbor_certificate": files.make("node", "IP:127.0.0.1"),
            "harbor_authorities": files.authority,
            "harbor_timeout": 2,
        }
        network = LocalNetwork()
        first, second = network.start(1, **trusted), network.start(2, **trusted)
        assert second.run(CALL.format(start_echo(first))) == "hello"
        plain = network.begin(3, harbor_timeout=1, harbor_join_timeout=1)
        plain.expect_status(1)
        first.wait_log("error: 127.0.0.1:.* is refused: TLS: ")
        plain.wait_log("error: the node can't start: .*node 3 cannot join the network"
                       ".*; its log may say why")
        plain.wait()
        with Files() as strangers:
            settings = {**trusted, "harbor_join_timeout": 1}
            settings["harbor_certificate"] = strangers.make("node", "IP:127.0.0.1")
            stranger = network.begin(3, **settings)
            stranger.expect_status(1)
            stranger.wait_log("error: the node can't start: .*node 3 cannot join the network"
                              r".*TLS: tlsv1 alert unknown ca \(the peer says so\)")
            stranger.wait()
            assert "socket: error" not in stranger.text()
        assert first.run("return harbor.members()[3]") == "nil"


@case
def a_node_without_its_master_says_so_and_ends():
    network = LocalNetwork(harbor_join_timeout=1)
    lonely = network.begin(2)
    lonely.expect_status(1)
    lonely.wait_log(rf"error: the node can't start: .*the master 127.0.0.1:{network.master_port} "
                    r"\(config key master\) cannot be reached: Connection refused")
    lonely.wait()
    check_is_told_once(lonely, "node 2 cannot join the network")


@case
def a_master_whose_port_is_taken_says_so_and_ends():
    network = LocalNetwork()
    network.start(1)
    other = LocalNetwork(standalone=f"127.0.0.1:{network.master_port}")
    second = other.begin(2)
    second.expect_status(1)
    second.wait_log(rf"error: the node can't start: .*cannot listen as master on 127.0.0.1:"
                    rf"{network.master_port} \(config key standalone\)")
    second.wait()
    check_is_told_once(second, "cannot listen as master")


def check_is_told_once(node, text):
    """What is for people to mend comes without the place in our code where it was found."""
    assert node.text().count(text) == 1, node.text()
    assert "stack traceback" not in node.text(), node.text()
    assert ".lua:" not in node.text(), node.text()


@case
def a_master_that_is_something_else_is_named():
    network = LocalNetwork()
    first = network.start(1)
    address = first.run("return skynet.getenv('address')")
    lost = network.begin(2, master=address)
    lost.expect_status(1)
    lost.wait_log(f"what answers at {address} .config key master. is no master: a packet of ")
    lost.wait()


@case
def an_address_that_nobody_can_dial_is_refused():
    network = LocalNetwork()
    node = network.begin(1, address=f"0.0.0.0:{free_port()}", harbor_secret="secret")
    node.expect_status(1)
    node.wait_log("key 'address': the other nodes reach this one at its address")
    node.wait()


@case
def a_master_may_be_started_later():
    network = LocalNetwork()
    second = network.begin(2)
    second.wait_log("warning: the master 127.0.0.1:.* cannot be reached by now: Connection refused")
    first = network.start(1)
    second.wait_ready()
    assert second.run(CALL.format(start_echo(first))) == "hello"


@case
def who_asks_a_cslave_for_too_much_is_counted():
    network = LocalNetwork()
    first, second = network.start(1), network.start(2, waiterlimit=8)
    start_echo(second)
    ask = """
        texts = {{}}
        for i = 1, 20 do
            skynet.fork(function()
                local _, text = pcall(skynet.call, ".cslave", "lua", "{0}", "NAME{0}" .. i, echo)
                table.insert(texts, text)
            end)
        end
    """
    stat = 'local stat = skynet.call(".cslave", "lua", "STAT") return '
    second.run(ask.format("QUERYNAME"))
    second.wait_run("return #texts >= 12", "true")  # services of the node wait for names, too
    assert "too many requests wait: 8 (config key waiterlimit)" in second.run("return texts[1]")
    assert second.run(f"{stat} stat.requests.waiting") == "8"
    assert int(second.run(f"{stat} stat.requests.refused")) >= 12
    first.kill()
    second.wait_log("Master disconnect")
    second.run(ask.format("REGISTER"))
    second.wait_run("return #texts", "12")
    assert "too many names wait to be registered: 8" in second.run("return texts[1]")
    assert second.run(f"{stat} stat.registrations.waiting, stat.registrations.refused") == "8,12"
    assert second.run(f"{stat} stat.missed_events, stat.registry.connections") == "0,1"
    second.wait_run(f"{stat} stat.registry.failures > 0", "true")
    assert int(second.run(f"{stat} stat.harbor[1].dials")) >= 1
    network.start(1)  # those that wait get their names, and others may wait again
    second.wait_run("return #texts", "20")
    assert second.run(f"{stat} stat.registrations.waiting, stat.registrations.refused") == "0,12"
    second.run(ask.format("REGISTER"))
    second.wait_run("return #texts", "20")
    assert second.run("return texts[20]") == second.run("return echo")
    assert second.run(f"{stat} stat.registrations.waiting") == "0"


@case
def who_asks_a_cslave_again_and_again_with_a_deadline_finds_room_again():
    network = LocalNetwork()
    first = network.start(1, waiterlimit=32)
    second = network.start(2)
    # Services of this node and of another one may give up. It is for them to tell, so a slow one
    # may find all room taken for a while.
    ask = """
        local given_up = 0
        while given_up < 200 do
            local ok, text = pcall(skynet.call_within, 1, {0}, "lua", "QUERYNAME", "NOBODY")
            local is_late = not ok and text:find("no answer within")
            assert(is_late or text:find("too many requests wait"), text)
            given_up = given_up + (is_late and 1 or 0)
        end
    """
    first.run(ask.format('".cslave"'))
    second.run(ask.format(1 << 24))


@case
def all_nodes_see_changes_in_one_order():
    network = LocalNetwork()
    nodes = [network.start(id) for id in (1, 2, 3)]
    # All want the same names at the same time; who gets each must be the same everywhere.
    clients = []
    for node in nodes:
        start_echo(node)
        clients.append(node.client())
        clients[-1].send("""
            local owners = {}
            for i = 1, 200 do
                owners[i] = skynet.address(
                    skynet.call(".cslave", "lua", "REGISTER", "NAME" .. i, echo))
            end
            return owners
        """)
    owners = [client.receive() for client in clients]
    assert owners[0] == owners[1] == owners[2]
    assert len(owners[0].split()) == 200
    for node in nodes:
        node.wait_run(
            """
            local owners = {}
            for i = 1, 200 do owners[i] = skynet.address(harbor.queryname("NAME" .. i)) end
            return owners
            """,
            owners[0],
        )
    revisions = {node.run('return skynet.call(".cslave", "lua", "STAT").registry.revision')
                 for node in nodes}
    assert len(revisions) == 1, revisions


@case
def a_unique_service_is_one_in_all_the_network():
    network = LocalNetwork(harbor_timeout=2)
    first, second, third = network.start(1), network.start(2), network.start(3)
    waiting = third.client()
    waiting.send('return skynet.address(skynet.queryservice(true, "simpledb"))')
    address = second.run('return skynet.address(skynet.uniqueservice(true, "simpledb"))')
    assert address.startswith(":01")  # where the master is
    assert waiting.receive() == address
    assert first.run('return skynet.address(skynet.uniqueservice(true, "simpledb"))') == address
    text = failure(third.run, 'skynet.uniqueservice(true, "no_such_service")')
    assert "no_such_service" in text, text
    second.run('skynet.uniqueservice("simpledb")')  # one of its own
    keys = 'local t = {} for k in pairs(skynet.call("SERVICE", "lua", "LIST")) do t[#t+1] = k end '
    keys += "table.sort(t) return t"
    third.wait_run(keys, "@no_such_service @simpledb simpledb@2")
    # What is no report is refused.
    for junk in ("nil", "{ simpledb = skynet.self() }", '{ ["@x"] = 1 }', '{ ["@x"] = "junk" }'):
        text = failure(second.run, f'skynet.call("SERVICE", "lua", "REPORT", {junk})')
        assert "bad report" in text, text
    # When it ends, the next request starts another one.
    first.run(f'skynet.kill("{address}")')
    new = 'return skynet.address(skynet.uniqueservice(true, "simpledb"))'
    address = await_another(address, (first, second, third), new)
    # So it does when its node has died and come back.
    first.kill()
    first = network.start(1)
    await_another(address, (first, second, third), new)


def await_another(address, nodes, code):
    """Waits until the code returns the same on all nodes, and not that address, which a node tells
    until it hears of the end. Returns it."""
    def ask():
        answers = {str(attempt(node, code)) for node in nodes}
        answer = answers.pop()
        is_right = not answers and answer != address and re.fullmatch(r":\w+", answer)
        return answer if is_right else None

    return wait_until(ask, f"all know another service than {address}")


def attempt(node, code):
    try:
        return node.run(code)
    except Exception as error:  # pylint: disable=broad-except
        return error


@case
def the_datacenter_is_one_for_all():
    network = LocalNetwork(harbor_timeout=2)
    first, second = network.start(1), network.start(2)
    waiting = second.client()
    waiting.send('return datacenter.wait("town", "mayor")')
    first.run('datacenter.set("town", "mayor", "Ann")')
    assert waiting.receive() == "Ann"
    assert second.run('return datacenter.get("town").mayor') == "Ann"
    pending = second.client()
    pending.send('return datacenter.wait("never")')
    second.run("return 1")
    first.kill()
    assert "call" in failure(pending.receive)
    assert "call" in failure(second.run, 'return datacenter.get("town")')
    network.start(1)
    wait_until(lambda: str(attempt(second, 'return datacenter.get("town")')) == "nil", "a new one")


@case
def a_node_that_stands_still_is_down_until_it_goes_on():
    network = LocalNetwork(harbor_timeout=3)
    first, second = network.start(1), network.start(2)
    address = start_echo(second, "ECHO")
    second.run('skynet.uniqueservice("simpledb")')
    first.run("harbor.connect(2)")
    second.halt()
    try:
        first.wait_log("Harbor 2 is gone: it has not come back")
        first.wait_run("return harbor.members()[2]", "nil")
        assert "call" in failure(first.run, CALL.format(address))
    finally:
        second.go_on()
    first.run("harbor.connect(2)")
    assert first.run(CALL.format(address)) == "hello"
    first.wait_run(CALL.format('"ECHO"'), "hello")
    second.wait_log("Master is back")
    # Who holds SERVICE hears again of what runs there.
    first.wait_run('return skynet.call("SERVICE", "lua", "LIST")["simpledb@2"] ~= nil', "true")


@case
def a_node_that_comes_back_too_late_ends():
    network = LocalNetwork(harbor_timeout=3)
    first, second = network.start(1), network.start(2)
    second.expect_status(1)
    second.halt()
    try:
        first.wait_log("Harbor 2 is gone: it has not come back")
        other = network.start(2, address=f"127.0.0.1:{free_port()}")
    finally:
        second.go_on()
    second.wait_log("error: this node ends: .*node 2 is there already, and lives")
    second.wait()
    first.wait_run(CALL.format(start_echo(other)), "hello")


class WelcomeHolder(Holder):
    """Holds what a master says when it makes a node a member."""

    def pass_on(self, client, data):
        if b"welcome" in data:
            self.hold()
        super().pass_on(client, data)


@case
def a_node_that_ends_as_it_joins_leaves_at_once():
    network = LocalNetwork(harbor_timeout=3600)
    first = network.start(1)
    with WelcomeHolder(network.master_port) as proxy:
        second = network.begin(2, master=f"127.0.0.1:{proxy.port}")
        wait_until(lambda: proxy.held, "it is welcome")
        first.wait_run("return harbor.members()[2] ~= nil", "true")
        second.stop()
        first.wait_run("return harbor.members()[2]", "nil")


@case
def an_exit_monitor_hears_of_services_on_other_nodes():
    network = LocalNetwork()
    first, second = network.start(1), network.start(2)
    monitor = second.run('return skynet.address(skynet.monitor("exit_monitor"))')
    assert monitor.startswith(":01")
    address = start_echo(second)
    second.run("skynet.kill(echo)")
    first.wait_log(f"has ended: :{address[2:]}")


main()
