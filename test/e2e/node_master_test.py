"""The master of a network is killed and comes back: links, names and the numbers of nodes survive,
also when the network has changed meanwhile."""

from harness import DEADLINE_S, case, main, wait_until
from sequence import Traffic, World, integer, publish

CALM_S = 2 * DEADLINE_S


QUERY = 'return require("skynet.harbor").queryname("%s")'


def find(node, name):
    return integer(node, QUERY % name)


def is_taken(node, name, handle):
    """Tries to give a service of the node a name; does it have it now?"""
    owner = integer(node, f'return skynet.call(".cslave", "lua", "REGISTER", "{name}", {handle})')
    return owner == handle


class Masterless:
    """Three nodes under traffic, each with a name; the master is killed."""

    def __init__(self):
        self.world = World(3, harbor_timeout=CALM_S)
        self.handles = {f"NAME{node.id}": publish(node, f"NAME{node.id}")
                        for node in self.world.nodes}
        for node in self.world.nodes:
            self.check_names(node)
        self.traffic = Traffic(self.world.nodes, senders=1)
        self.traffic.begin()
        self.traffic.wait_answers(50)
        self.world.master.kill()

    def check_names(self, node):
        for name, handle in self.handles.items():
            assert find(node, name) == handle, name


@case
def without_the_master_links_and_known_names_go_on():
    masterless = Masterless()
    for node in masterless.world.nodes:
        masterless.check_names(node)
    masterless.traffic.wait_answers(200)
    masterless.traffic.finish(loses=False)


@case
def a_master_that_comes_back_knows_names_and_nodes():
    masterless = Masterless()
    world = masterless.world
    master = world.start_master()
    fourth = world.add_node().wait_ready()
    masterless.check_names(fourth)
    masterless.handles["NAME4"] = publish(fourth, "NAME4")
    for node in world.nodes:
        masterless.check_names(node)
    masterless.traffic.add_receivers(fourth)
    masterless.traffic.add_senders(fourth)
    masterless.traffic.begin()
    masterless.traffic.wait_answers(200)
    masterless.traffic.finish(loses=False)
    assert master.is_running()


@case
def what_waits_for_the_master_goes_on_with_the_next_one():
    masterless = Masterless()
    world = masterless.world
    waiting = world.nodes[0].client()
    waiting.send(QUERY % "LATER")
    later = publish(world.nodes[1], "LATER")
    world.start_master()
    assert int(waiting.receive()) == later
    masterless.traffic.finish(loses=False)


@case
def what_has_ended_while_the_master_was_away_is_known_afterwards():
    masterless = Masterless()
    world = masterless.world
    one, two, three = world.nodes
    two.run(f'require("skynet.manager").kill({masterless.handles["NAME2"]})')
    three.kill()
    dead = masterless.traffic.forget(three)
    world.start_master()
    # It belongs to the dead service until the second node has told the master of its end.
    fresh = integer(one, 'return skynet.newservice("sequence_receiver")')
    wait_until(lambda: is_taken(one, "NAME2", fresh), "the name belongs to the next one")
    wait_until(lambda: find(two, "NAME2") == fresh, "the second node knows that")
    third = three.again().wait_ready()
    masterless.handles["NAME2"] = fresh
    masterless.handles["NAME3"] = publish(third, "NAME3")
    for node in (one, two, third):
        wait_until(lambda n=node: find(n, "NAME3") == masterless.handles["NAME3"],
                   f"node {node.id} knows the new third node's name")
        masterless.check_names(node)
    masterless.traffic.finish(dead)


@case
def a_master_that_is_restarted_again_and_again_changes_nothing():
    masterless = Masterless()
    world = masterless.world
    for _ in range(5):
        world.start_master().kill()
    world.start_master()
    for node in world.nodes:
        masterless.handles[f"NEW{node.id}"] = publish(node, f"NEW{node.id}")
    for node in world.nodes:
        masterless.check_names(node)
    masterless.traffic.wait_answers(50)
    masterless.traffic.finish(loses=False)


main()
