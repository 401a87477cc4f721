"""A network of nodes whose registry is etcd, three members of it: none of them is needed, not the
leader, and for what is known already not even all of them."""


from etcd_cluster import Cluster
from harness import DEADLINE_S, case, free_port, keep, main, wait_until
from netspace import Here
from sequence import NetworkNode, Traffic, integer, publish

CALM_S = 2 * DEADLINE_S
QUERY = 'return require("skynet.harbor").queryname("%s")'


class EtcdWorld:
    """Three members of etcd, and nodes 1 to 3 under traffic, each with a name."""

    def __init__(self, **settings):
        self.settings = {"harbor_timeout": CALM_S, **settings}
        self.cluster = Cluster(3)
        keep(self)
        self.nodes = [self.start_node(id) for id in (1, 2, 3)]
        for node in self.nodes:
            node.wait_ready()
        self.handles = {}
        for node in self.nodes:
            self.publish(node, f"NAME{node.id}")
        self.check_names()
        self.traffic = Traffic(self.nodes, senders=1)
        self.traffic.begin()
        self.traffic.wait_answers(50)

    def start_node(self, id, **settings):
        return NetworkNode(Here(), id, self.cluster.url(), **{
            "address": "127.0.0.1:0", "evaluator_port": free_port(), **self.settings, **settings})

    def close(self):
        """Ends etcd, when the nodes have ended."""
        for member in self.cluster.members:
            member.kill()
        self.cluster.close()

    def publish(self, node, name):
        self.handles[name] = publish(node, name)

    def check_names(self):
        for node in self.nodes:
            for name, handle in self.handles.items():
                found = integer(node, QUERY % name)
                assert found == handle, f"node {node.id}: {name} is {found:x}, not {handle:x}"

    def check_goes_on(self):
        """A node joins and names change, all learn of it, and traffic has not suffered."""
        fourth = self.start_node(4).wait_ready()
        self.nodes.append(fourth)
        self.publish(fourth, "NAME4")
        self.publish(self.nodes[0], "LATER")
        self.check_names()
        self.traffic.add_receivers(fourth)
        self.traffic.begin()
        self.traffic.wait_answers(100)
        self.traffic.finish(loses=False)

    def leader(self):
        """The number of the member that leads."""

        def find():
            for number, member in enumerate(self.cluster.members):
                if member.is_running():
                    status = self.cluster.call("/v3/maintenance/status", {}, member)
                    if status.get("leader") == status["header"]["member_id"]:
                        return [number]
            return None

        return wait_until(find, "etcd has a leader")[0]


@case
def the_leader_of_etcd_is_not_needed():
    world = EtcdWorld()
    world.cluster.members[world.leader()].kill()
    world.check_goes_on()


@case
def each_member_of_etcd_may_be_lost_in_turn():
    world = EtcdWorld()
    for number, member in enumerate(world.cluster.members[:]):
        member.kill()
        world.publish(world.nodes[number], f"WITHOUT{number}")
        world.check_names()
        world.cluster.restart(number)
        world.cluster.wait_ready()
    world.check_goes_on()


@case
def a_member_of_etcd_that_stands_still_is_left_for_another():
    world = EtcdWorld(harbor_timeout=8)
    member = world.cluster.members[world.leader()]
    member.halt()
    try:
        world.publish(world.nodes[0], "MEANWHILE")
        world.check_names()
    finally:
        member.go_on()
    world.check_goes_on()


@case
def without_etcd_links_and_known_names_go_on_until_it_is_back():
    world = EtcdWorld()
    for member in world.cluster.members:
        member.kill()
    world.check_names()
    world.traffic.wait_answers(100)
    for number in range(3):
        world.cluster.restart(number)
    world.cluster.wait_ready()
    world.check_goes_on()


@case
def a_killed_node_comes_back_under_its_id_at_once():
    world = EtcdWorld(harbor_timeout=5)
    third = world.nodes[2]
    third.kill()
    dead = world.traffic.forget(third)
    world.nodes[2] = third.again().wait_ready()
    world.publish(world.nodes[2], "NAME3")
    wait_until(lambda: integer(world.nodes[0], QUERY % "NAME3") == world.handles["NAME3"],
               "the first node knows the new name")
    world.traffic.add_receivers(world.nodes[2])
    world.traffic.begin()
    world.traffic.wait_answers(100)
    world.traffic.finish(dead)


@case
def the_second_node_of_an_id_ends_and_says_why():
    world = EtcdWorld(harbor_timeout=8)
    second = world.start_node(2)
    second.expect_status(1)
    second.wait()
    assert "2" in second.text(), second.text()
    world.check_goes_on()


main()
