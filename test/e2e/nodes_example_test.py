"""The examples with several nodes, as their manual has them: what is typed, and what is printed.

What a service prints may share its line with one of the log, so no pattern says where lines end.
"""

import re

from harness import BUILD, ROOT, SKYNET, Process, case, free_port, main, wait_until


class Example(Process):
    """A node of an example, on ports of this test."""

    def __init__(self, name, master, **settings):
        settings = {
            "master": master,
            "address": f"127.0.0.1:{free_port()}",
            "cpath": f"{BUILD}/cservice/?.so",
            "lua_cpath": f"{BUILD}/luaclib/?.so",
            **settings,
        }
        words = [f"--set={key}={value}" for key, value in settings.items()]
        super().__init__(SKYNET, f"examples/nodes/{name}.lua", *words)

    def count(self, pattern):
        return len(re.findall(pattern, self.text(), re.MULTILINE))


class Examples:
    """The nodes of an example. The first one has the master, and a console."""

    def __init__(self):
        self.master = f"127.0.0.1:{free_port()}"

    def first(self):
        node = Example("config", self.master, standalone=self.master)
        node.wait_log("LAUNCH snlua console")
        return node

    def second(self, name):
        return Example(name, self.master)


@case
def a_node_waits_for_another_and_for_its_end():
    examples = Examples()
    first = examples.first()
    first.write("testharborlink\n")
    first.wait_log("wait for harbor 2")
    example = first.wait_log(r"run skynet (\S+) please").group(1)
    assert (ROOT / example).exists(), example
    second = examples.second("config_log")
    second.wait_log("Log server start")
    first.wait_log("harbor 2 connected")
    first.wait_log(r"LOG =\t:02[0-9a-f]{6}")
    first.write("testlog Hello\n")  # as examples/README.md has it; the other goes on waiting
    second.wait_log(r"\[GLOBALLOG\]\t:01[0-9a-f]{6}\tHello")
    second.stop()
    first.wait_log("disconnected")


@case
def all_nodes_log_to_one():
    examples = Examples()
    first = examples.first()
    second = examples.second("config_log")
    second.wait_log("LAUNCH snlua globallog")
    first.write("testlog Hello from node 1\n")
    second.wait_log(r"\[GLOBALLOG\]\t:01[0-9a-f]{6}\tHello\tfrom\tnode\t1")
    first.stop()
    second.wait_log("master is down")
    second.wait_log("KILL self")


@case
def an_exit_monitor_tells_who_watches():
    examples = Examples()
    first = examples.first()
    examples.second("config_log").wait_log("LAUNCH snlua globallog")
    first.write("testmonitor\n")
    first.wait_log(r"watched: true")
    first.wait_log(r"it has ended: .*call failed")
    first.wait_log(r"watched: false")


@case
def a_channel_is_used_by_both_nodes():
    examples = Examples()
    first = examples.first()
    first.write("testmulticast\n")
    first.wait_log(r"New channel\t\[Multicast:1\]")
    for _ in range(10):
        first.wait_log(r":01[0-9a-f]{6}\tsub\t\[Multicast:1\]")
    publisher = first.wait_log(r"(:01[0-9a-f]{6})\t===>\t\[Multicast:1\]").group(1)
    heard = r":0%d[0-9a-f]{6} <=== %s \[Multicast:1\]\t%s\b"
    wait_until(lambda: first.count(heard % (1, publisher, "Hello World")) == 10, "ten heard it")
    second = examples.second("config_mc")
    second.wait_log("remote start")
    second.wait_log("remote channel\t1")
    publisher = second.wait_log(r"======>\t(:02[0-9a-f]{6})\t\[Multicast:1\]\tRemote message\b")
    publisher = publisher.group(1)
    for number, node in ((1, first), (2, second)):
        for text in ("Remote message", "Remote message2"):
            line = heard % (number, publisher, text)
            wait_until(lambda n=node, l=line: n.count(l) == 10, f"{line} ten times")
    assert second.count("======>") == 1, second.text()


@case
def without_the_first_example_node_two_makes_its_own_channel():
    examples = Examples()
    examples.first()
    second = examples.second("config_mc")
    second.wait_log("create local channel")
    second.wait_log(r"======>\t:02[0-9a-f]{6}\t\[Multicast:2\]\tRemote message\b")


main()
