"""How Lua services are found and loaded: templates, globals, preload, changed files, mistakes."""

import re
import shutil
import tempfile
from pathlib import Path

from harness import Node, case, main

class Tree:
    """A folder with the files of a case, and a node that finds its services there."""

    def __init__(self, **files):
        self.folder = Path(tempfile.mkdtemp(prefix="skynet-test-"))
        for name, text in files.items():
            self.write(name.replace("__", "/") + ".lua", text)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(text)
        draft.rename(path)

    def node(self, start="main", **settings):
        settings.setdefault("luaservice", f"{self.folder}/?.lua;./service/?.lua")
        settings.setdefault("lua_path", f"./lualib/?.lua;{self.folder}/lib/?.lua")
        return Node(start=start, **settings)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        shutil.rmtree(self.folder, ignore_errors=True)


def service(body):
    return f'local skynet = require "skynet"\nskynet.start(function()\n{body}\nend)\n'


@case
def the_first_template_that_has_the_file_wins():
    with Tree(
        a__one=service('skynet.error("one of a")'),
        b__one=service('skynet.error("one of b")'),
        b__two=service('skynet.error("two of b")'),
        main=service('skynet.newservice "one" skynet.newservice "two"'),
    ) as tree:
        templates = "a/?.lua", "b/?.lua", "?.lua"
        paths = ";".join(f"{tree.folder}/{template}" for template in templates)
        with tree.node(luaservice=f"{paths};./service/?.lua") as node:
            node.wait_log(r"\] one of a$")
            node.wait_log(r"\] two of b$")


@case
def a_service_knows_its_name_and_folder():
    with Tree(
        main=service('skynet.error(SERVICE_NAME, SERVICE_PATH) skynet.newservice "sub/deep"'),
        sub__deep=service("skynet.error(SERVICE_NAME, SERVICE_PATH)"),
    ) as tree:
        with tree.node() as node:
            node.wait_log(rf"\] main {tree.folder}/$")
            node.wait_log(rf"\] sub/deep {tree.folder}/$")


@case
def a_folder_can_be_a_service_with_modules_of_its_own():
    with Tree(
        game__init="""
            local skynet = require "skynet"
            local helper = require "helper"
            skynet.start(function()
                skynet.error("game", helper.name, SERVICE_NAME, SERVICE_PATH, ...)
            end)
        """.replace("...)", "table.concat(ARGUMENTS, ','))").replace(
            "local helper", "ARGUMENTS = { ... } local helper"
        ),
        game__helper='return { name = "of the game" }',
        lib__helper='return { name = "of the library" }',
        main=service(
            'skynet.error("main", require "helper".name) skynet.newservice("game", 1, "b")'
        ),
    ) as tree:
        templates = f"{tree.folder}/?.lua;{tree.folder}/?/init.lua;./service/?.lua"
        with tree.node(luaservice=templates) as node:
            node.wait_log(r"\] main of the library$")
            node.wait_log(rf"\] game of the game game {tree.folder}/game/ 1,b$")


@case
def a_preload_file_runs_before_each_service():
    with Tree(
        preload='PRELOADED = table.concat({ ... }, "+")',
        main=service('skynet.error("preloaded", PRELOADED) skynet.newservice("other", 5)'),
        other=service('skynet.error("preloaded", PRELOADED)'),
    ) as tree:
        with tree.node(preload=str(tree.folder / "preload.lua"), start="main a b") as node:
            node.wait_log(r"\] preloaded main\+a\+b$")
            node.wait_log(r"\] preloaded other\+5$")


@case
def a_preload_file_that_fails_is_named():
    for text, pattern in (
        ("local = 1", r"preload\.lua:1:"),
        ('error("in preload")', r"preload\.lua:1: in preload"),
        (None, r"cannot open .*preload\.lua"),
    ):
        with Tree(main=service("")) as tree:
            if text:
                tree.write("preload.lua", text)
            with tree.node(preload=str(tree.folder / "preload.lua")) as node:
                node.expect_status(1)
                node.expect_status(1)
                node.wait_log(f"lua loader error : .*{pattern}")
                node.wait()
                node.wait()


@case
def a_changed_service_is_seen_by_the_next_one():
    with Tree(
        main=service(
            """
            skynet.newservice "part"
            repeat skynet.sleep(1) until loadfile(FOLDER .. "/go.lua")
            skynet.newservice "part"
            """
        ),
        part=service('skynet.error("first version", (require "module"))'),
        lib__module='return "with the first module"',
    ) as tree:
        tree.write("preload.lua", f"FOLDER = '{tree.folder}'")
        with tree.node(preload=str(tree.folder / "preload.lua")) as node:
            node.wait_log(r"\] first version with the first module$")
            tree.write("part.lua", service('skynet.error("second version", (require "module"))'))
            tree.write("lib/module.lua", 'return "with the second module"')
            tree.write("go.lua", "return true")
            node.wait_log(r"\] second version with the second module$")


@case
def a_service_with_a_mistake_is_named_with_its_line():
    with Tree(
        main=service('skynet.error("newservice:", pcall(skynet.newservice, "broken"))'),
        broken="-- a comment\nlocal and = 1\n",
    ) as tree:
        with tree.node() as node:
            node.wait_log(r"lua loader error : can't load the Lua service 'broken'")
            node.wait_log(rf"{tree.folder}/broken\.lua:2: .*near 'and'")
            reason = r"call failed: broken \(:\w+\): can't load the Lua service 'broken'"
            node.wait_log(rf"newservice: false .*{reason}")


@case
def calls_have_the_deadline_of_the_config():
    call = 'pcall(skynet.call, address, "lua", "anything")'
    with Tree(
        main=service(f"""
            local address = skynet.newservice "silent"
            skynet.error("default", skynet.call_timeout(), {call})
            skynet.call_timeout(2)
            skynet.error("own", skynet.call_timeout(), {call})
        """),
        silent=service('skynet.dispatch("lua", skynet.wait)'),
    ) as tree:
        with tree.node(calltimeout=100) as node:
            text = r"false call failed: snlua silent .*: no answer within"
            node.wait_log(rf"default 100 {text} 1\.00 s$")
            node.wait_log(rf"own 2 {text} 0\.02 s$")


@case
def a_deadline_of_all_calls_is_none_for_the_start_of_a_shared_service():
    slow = """
        require "skynet.manager"
        local token = {}
        skynet.register ".slow"
        skynet.dispatch("lua", function() skynet.wakeup(token) end)
        skynet.wait(token)
    """
    ask = {
        "unique": 'pcall(skynet.uniqueservice, "slow")',
        "provided": f"""pcall(require("skynet.service").new, "slow", function()
            local skynet = require "skynet"
            {slow}
        end)""",
    }
    for kind, call in ask.items():
        with Tree(
            main=service(f"""
                local function ask() return {call} end
                for i = 1, 3 do
                    skynet.error("asked", ask())
                end
                skynet.send(".slow", "lua")
                while not ask() do
                end
                skynet.error("{kind}", ask())
            """),
            slow=service(slow),
        ) as tree:
            with tree.node(calltimeout=10) as node:
                node.wait_log(rf"{kind} true \d+$")
                given_up = re.findall(r"asked false .*: no answer within 0\.10 s", node.text())
                assert len(given_up) == 3, node.text()


@case
def a_deadline_of_all_calls_is_none_for_services_of_the_framework():
    names = ["launcher", "service_mgr", "gate", "group_agent", "multicastd", "service_provider"]
    with Tree(
        main=service("""
            require "skynet.manager"
            skynet.call_timeout(false)
            skynet.newservice "gate"
            for _, name in ipairs { "group_agent", "multicastd", "service_provider" } do
                skynet.uniqueservice(name)
            end
            local list = skynet.call(".launcher", "lua", "LIST")
            list[skynet.address(skynet.localname(".launcher"))] = "snlua launcher"
            local source = "print(require('skynet').call_timeout())"
            for address, name in pairs(list) do
                skynet.error("deadline of", name, skynet.call(address, "debug", "RUN", source))
            end
            skynet.error("these are all")
        """),
    ) as tree:
        with tree.node(calltimeout=10) as node:
            node.wait_log("these are all")
            for name in names:
                assert f"deadline of snlua {name} true false\n" in node.text(), name


@case
def a_start_service_that_fails_ends_the_node_with_its_reason():
    with Tree(main=service('error("not today")')) as tree:
        with tree.node() as node:
            node.expect_status(1)
            node.wait_log(r"start service 'main' failed \(config key start\): .*not today")
            node.wait()
            assert re.search(r"init service failed: .*not today", node.text()), node.text()
    with Tree() as tree:
        with tree.node(start="no_such_thing") as node:
            node.expect_status(1)
            node.wait_log(r"start service 'no_such_thing' failed .*can't load the Lua service")
            node.wait()


@case
def a_node_stays_when_its_start_service_had_started_others():
    with Tree(
        main=service('skynet.newservice "other" error("not today")'),
        other=service('skynet.error("other runs")'),
    ) as tree:
        with tree.node() as node:
            node.wait_log(r"other runs")
            node.wait_log(r"start service 'main' failed")
            assert node.is_running()


@case
def a_loader_of_ones_own_gets_the_launch_parameter():
    with Tree(
        loader="""
            local skynet = require "skynet"
            local text = ...
            skynet.error("loader got: " .. text)
            skynet.start(function() end)
        """
    ) as tree:
        loader = str(tree.folder / "loader.lua")
        with tree.node(lualoader=loader, bootstrap="snlua  several   words ") as node:
            node.wait_log(r"loader got: +several   words $")


@case
def a_loader_that_is_missing_or_wrong_is_named():
    with Tree(loader="local = 1") as tree:
        for path, pattern in (
            (tree.folder / "loader.lua", r"loader\.lua:1:"),
            (tree.folder / "missing.lua", r"cannot open .*missing\.lua"),
        ):
            with tree.node(lualoader=str(path)) as node:
                node.expect_status(1)
                node.expect_status(1)
                node.wait_log(rf"can't load the loader \(config key lualoader\): .*{pattern}")
                node.wait_log("no service is left but the log service")
                node.wait()
                node.wait()


@case
def environment_variables_do_not_change_the_paths():
    with Tree(main=service("skynet.error(package.path, package.cpath)")) as tree:
        with Node(
            start="main",
            luaservice=f"{tree.folder}/?.lua;./service/?.lua",
            lua_path="./lualib/?.lua",
            env={"LUA_PATH": "/wrong/?.lua", "LUA_PATH_5_4": "/wrong/?.lua", "LUA_CPATH": "/wrong"},
        ) as node:
            line = node.wait_log(r"\] (\./lualib/\?\.lua) (\S+)$")
            assert "wrong" not in line.group(0), line.group(0)


main()
