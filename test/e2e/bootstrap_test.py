"""How a node starts its services: the order, what every node has, and what stops it."""

import re
import shutil
import tempfile
from pathlib import Path

from harness import Node, case, main


class Scripts:
    """A folder with services, which a node finds before the standard ones."""

    def __init__(self, **files):
        self.folder = Path(tempfile.mkdtemp(prefix="skynet-test-"))
        for name, text in files.items():
            (self.folder / f"{name}.lua").write_text(text)

    def node(self, **settings):
        settings.setdefault("luaservice", f"{self.folder}/?.lua;./service/?.lua")
        return Node(start="main", **settings)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        shutil.rmtree(self.folder, ignore_errors=True)


MAIN = """
    local skynet = require "skynet"
    require "skynet.manager"
    skynet.start(function()
        skynet.error("names", skynet.localname ".launcher", skynet.localname ".service")
        BODY
    end)
"""


@case
def the_services_of_a_node_start_in_their_order():
    with Scripts(main=MAIN.replace("BODY", "")) as scripts, scripts.node(harbor=0) as node:
        node.wait_log(r"\[:00000006\] names 3 5")
        order = re.findall(r"\[:(\w+)\] LAUNCH snlua (\w+)", node.text())
        assert order == [
            ("00000002", "bootstrap"),
            ("00000003", "launcher"),
            ("00000004", "datacenterd"),
            ("00000005", "service_mgr"),
            ("00000006", "main"),
        ], order
        node.wait_log(r"\[:00000002\] KILL self")


@case
def a_node_without_a_service_that_all_need_does_not_start():
    for name in ("launcher", "datacenterd", "service_mgr"):
        broken = {name: 'error("broken on purpose")', "main": MAIN.replace("BODY", "")}
        with Scripts(**broken) as scripts, scripts.node() as node:
            node.expect_status(1)
            node.wait_log("lua loader error : .*broken on purpose")
            node.wait()
            assert "names" not in node.text()


main()
