"""Traffic that checks itself: on every node some services that send numbered messages and requests
to others on all nodes, and account for each of them (test/service/sequence_sender.lua).

    world = World(3)                  # a network, a master, and nodes 1 to 3
    traffic = Traffic(world.nodes)
    traffic.begin()
    ...                               # what may go wrong
    traffic.finish()                  # raises if a number was lost, doubled, or out of order
"""

import re

from evaluator import Client
from harness import DEADLINE_S, wait_until
from netspace import HostNode, Network, Wire, random_cuts

# In a namespace of its own nobody else has them.
EVALUATOR_PORT = 9000
HARBOR_PORT = 2526
MASTER_PORT = 2013
MASTER_ID = 255
SECRET = "nobody shall know"


def integer(node, code):
    """Runs a chunk on a node that evaluates, and returns the integer that it returns."""
    return int(node.run(code))


def publish(node, name):
    """Gives a new receiver on the node a global name, and returns its handle."""
    return integer(
        node,
        'local manager = require("skynet.manager") '
        'local handle = skynet.newservice("sequence_receiver") '
        f'skynet.name("{name}", handle) return handle')


class NetworkNode(HostNode):
    """Node `id` of a network, on a host; the test sends it Lua (evaluator.lua). master: where its
    registry is, as in the config."""

    def __init__(self, host, id, master, **settings):
        self.id = id
        given = settings
        self.again = lambda **changes: NetworkNode(host, id, master, **{**given, **changes})
        settings = {
            "harbor": id,
            "address": f"{host.address}:{HARBOR_PORT}",
            "master": master,
            "harbor_secret": SECRET,
            "start": "evaluator",
            "evaluator_port": EVALUATOR_PORT,
            **settings,
        }
        super().__init__(host, "", **settings)
        self._port = settings["evaluator_port"]
        self._client = None

    def wait_ready(self):
        self.wait_log("evaluator is ready")
        self._client = self.client()
        return self

    def client(self):
        return Client(self.host.connect(self._port))

    def run(self, code):
        return self._client.run(code)

    def restart(self, **changes):
        """Kills it, and starts it again at once, as the same node of the network."""
        self.kill()
        return self.again(**changes)


class World:
    """A network with a master on a host of its own, and `count` nodes, which know each other.

    wired: what the first two nodes send each other goes through wires, one each way, in self.wires.
    Its items: delay_s; cuts: how many, and the least and the most bytes between two of them."""

    def __init__(self, count, wired=None, **settings):
        self.network = Network()
        self.master_host = self.network.host()
        self.master_address = f"{self.master_host.address}:{MASTER_PORT}"
        self.hosts = self.network.hosts(count)
        self.settings = settings
        self.wires = [] if wired is None else self._lay_wires(**wired)
        self.master = self.start_master()
        self.nodes = [self.start_node(id) for id in range(1, count + 1)]
        for node in self.nodes:
            node.wait_ready()

    def _lay_wires(self, delay_s=0, cuts=(0, 0, 0)):
        ends = (self.hosts[:2], self.hosts[1::-1])
        return [Wire(self.network, *hosts, HARBOR_PORT, delay_s, random_cuts(seed, *cuts))
                for seed, hosts in enumerate(ends)]

    def start_master(self):
        """A node that does nothing but keep the network."""
        return NetworkNode(self.master_host, MASTER_ID, self.master_address, **{
            "standalone": f"0.0.0.0:{MASTER_PORT}", **self.settings})

    def start_node(self, id, **settings):
        return NetworkNode(self.hosts[id - 1], id, self.master_address,
                           **{**self.settings, **settings})

    def add_node(self, **settings):
        """One more host, with a node; its id is the next."""
        self.hosts.append(self.network.host())
        self.nodes.append(self.start_node(len(self.hosts), **settings))
        return self.nodes[-1]


def literal(values):
    return "{" + ", ".join(f"{key} = {value}" for key, value in values.items()) + "}"


class Traffic:
    """Senders and receivers on the nodes; each sender sends to all receivers of other nodes."""

    def __init__(self, nodes, senders=2, receivers=1, limit=None, **options):
        self.options = options
        self.receivers = {}  # node -> handles
        self.senders = []  # (node, handle)
        for node in nodes:
            self.add_receivers(node, receivers, limit)
        for node in nodes:
            self.add_senders(node, senders)

    def add_receivers(self, node, count=1, limit=None):
        words = "" if limit is None else f", {limit}"
        self.receivers[node] = [
            integer(node, f'return skynet.newservice("sequence_receiver"{words})')
            for _ in range(count)
        ]

    def add_senders(self, node, count=1):
        for _ in range(count):
            handle = integer(node, 'return skynet.newservice("sequence_sender")')
            self.senders.append((node, handle))

    def begin(self, **options):
        """All senders begin, or go on. Options: see sequence_sender.lua."""
        self.options.update(options)
        for node, sender in self.senders:
            others = [h for n, handles in self.receivers.items() if n is not node for h in handles]
            node.run(f'skynet.call({sender}, "lua", "begin", {{{", ".join(map(str, others))}}}, '
                     f"{literal(self.options)})")

    def stop(self):
        for node, sender in self.senders:
            node.run(f'skynet.call({sender}, "lua", "stop")')

    def forget(self, node):
        """Its senders and receivers are gone: it was killed."""
        self.senders = [pair for pair in self.senders if pair[0] is not node]
        return self.receivers.pop(node)

    def counts(self):
        """The sums over all senders."""
        total = {}
        for node, sender in self.senders:
            text = node.run(
                f'local counts = skynet.call({sender}, "lua", "counts") local all = {{}} '
                'for key, value in pairs(counts) do table.insert(all, key .. "=" .. value) end '
                "return all")
            for key, value in re.findall(r"(\w+)=(-?\d+)", text):
                total[key] = total.get(key, 0) + int(value)
        return total

    def reasons(self):
        """The different texts of the errors that came."""
        texts = set()
        for node, sender in self.senders:
            text = node.run(
                f'local _, reasons = skynet.call({sender}, "lua", "counts") local all = {{}} '
                'for key in pairs(reasons) do table.insert(all, key) end '
                'return table.concat(all, "\\n")')
            texts.update(line for line in text.split("\n") if line)
        return texts

    def wait_answers(self, count, deadline_s=DEADLINE_S):
        """Waits until so many more requests were answered. deadline_s: for the next one, as all of
        them are an amount of work, which takes a slow machine long."""
        now = self.counts()
        wanted = now["answered"] + count
        while now["answered"] < wanted:
            before = now
            now = wait_until(lambda: self._newer_counts(before),
                             f"of {count} more answers the next one; so far {before}", deadline_s)

    def _newer_counts(self, before):
        """The counts, if there are more answers than before."""
        now = self.counts()
        return now["answered"] > before["answered"] and now

    def finish(self, dead=(), deadline_s=DEADLINE_S, loses=True):
        """Stops, waits until nothing is pending, and checks the books. dead: handles of receivers
        that are gone. Without `loses`, no message may have failed at all."""
        self.stop()
        for node, sender in self.senders:
            settled = integer(
                node, f'return skynet.call({sender}, "lua", "settle", {round(deadline_s * 100)})')
            if settled:
                which = node.run(f'return skynet.call({sender}, "lua", "pending")')
                raise AssertionError(f"still pending on node {node.id}: {which}")
        gone = ", ".join(f"[{handle}] = true" for handle in dead)
        for node, sender in self.senders:
            wrong = node.run(f'return skynet.call({sender}, "lua", "verify", {{{gone}}})')
            assert not wrong, f"node {node.id}: {wrong}\n{self.counts()}\n{self.reasons()}"
        counts = self.counts()
        print(f"# {counts}")
        failures = {key: counts[key] for key in ("failed", "refused", "told", "deaths")}
        assert loses or not any(failures.values()), f"{failures}: {self.reasons()}"
        return counts
