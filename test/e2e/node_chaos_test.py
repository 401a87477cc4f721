"""Everything that may go wrong between nodes, in an order that a seed decides: cables are pulled,
packets lost, connections reset, nodes halted and killed, the master too. When all is mended the
nodes find each other again, and the books of all senders are right.

By hand: SEEDS="1 2 3" STEPS=200 python3 test/e2e/node_chaos_test.py"""

import os
import random
import time

from harness import SANITIZERS, case, main, wait_until
from sequence import Traffic, World

SEEDS = [int(word) for word in os.environ.get("SEEDS", "1").split()]
STEPS = int(os.environ.get("STEPS", "20"))
LIMIT_S = 2 if SANITIZERS else 1
# All of them are noticed by some, and not by others.
PAUSES_S = (0, 0.02, 0.3, 1.5 * LIMIT_S, 2.5 * LIMIT_S)
DEADLINE_S = 60


class Chaos:
    """Four nodes, wires between the first two, and what is wrong with them at present."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.world = World(4, wired={}, harbor_timeout=LIMIT_S)
        self.nodes = list(self.world.nodes)
        self.traffic = Traffic(self.nodes, senders=1)
        self.dead = []
        self.mends = []  # functions that end what is wrong now
        self.steps = (self.cut, self.lose, self.lose, self.halt, self.restart, self.restart_master,
                      self.reset, self.reset, self.mend, self.mend)

    def step(self):
        step = self.chance.choice(self.steps)
        print(f"# {step.__name__}")
        step()
        time.sleep(self.chance.choice(PAUSES_S))

    def cut(self):
        host = self.chance.choice(self.world.hosts)
        self.world.network.cut(host)
        self.mends.append(lambda: self.world.network.mend(host))

    def lose(self):
        one, two = self.chance.sample(self.world.hosts, 2)
        self.world.network.lose(one, two, self.chance.choice((0.2, 1)))
        self.mends.append(lambda: self.world.network.heal(two))

    def halt(self):
        node = self.chance.choice(self.nodes)
        node.halt()
        self.mends.append(node.go_on)

    def restart(self):
        """Another life for a node. It cannot join while something else is wrong."""
        self.mend_all()
        place = self.chance.randrange(4)
        self.dead += self.traffic.forget(self.nodes[place])
        self.nodes[place] = self.nodes[place].restart().wait_ready()
        self.traffic.add_receivers(self.nodes[place])
        self.traffic.add_senders(self.nodes[place])
        self.traffic.begin()

    def restart_master(self):
        self.world.master.kill()
        self.world.master = self.world.start_master()

    def reset(self):
        for wire in self.world.wires:
            wire.reset()

    def mend(self):
        if self.mends:
            self.mends.pop(self.chance.randrange(len(self.mends)))()

    def mend_all(self):
        while self.mends:
            self.mends.pop()()

    def check(self):
        self.mend_all()
        for node in self.nodes:
            for other in self.nodes:
                if other is not node:
                    self.wait_answered(node, self.traffic.receivers[other][0], other)
        self.traffic.wait_answers(200, DEADLINE_S)
        self.traffic.finish(self.dead, DEADLINE_S)

    def wait_answered(self, node, receiver, other):
        call = f'return (pcall(skynet.call, {receiver}, "lua", "report"))'
        wait_until(lambda: node.run(call) == "true", f"node {other.id} answers node {node.id}",
                   DEADLINE_S)


@case
def whatever_happens_every_message_is_accounted_for():
    for seed in SEEDS:
        print(f"# seed {seed}")
        chaos = Chaos(seed)
        chaos.traffic.begin()
        chaos.traffic.wait_answers(50)
        for _ in range(STEPS):
            chaos.step()
        chaos.check()
        for node in chaos.nodes:
            node.close()
        chaos.world.master.close()


main()
