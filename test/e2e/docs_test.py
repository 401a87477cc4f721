"""The manual is true: its snippets run and print what it says, its links lead somewhere, and its
table of bytes is the message format."""

import re
import shutil
import tempfile
from pathlib import Path

from harness import BUILD, ROOT, SKYNET, Node, case, main, run
from nodes import LocalNetwork

DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"-- (\w+)\.lua\b")
LINK = re.compile(r"\]\(([^)#\s]+)?(#[^)\s]+)?\)")


def programs(page):
    """The snippets of a page: (files with their texts, command, lines that are to be logged)."""
    files = {}
    for kind, text in BLOCK.findall(page.read_text()):
        name = FILE.match(text)
        if kind == "lua" and name:
            files[name.group(1)] = text
        elif kind == "text" and text.startswith("$ start="):
            command, *lines = text.rstrip("\n").split("\n")
            yield dict(files), command.split("=", 1)[1], lines


def run_program(files, start, lines):
    folder = Path(tempfile.mkdtemp(prefix="skynet-test-"))
    try:
        for name, text in files.items():
            (folder / f"{name}.lua").write_text(text)
        with Node(start=start, luaservice=f"{folder}/?.lua;./service/?.lua") as node:
            for line in lines:
                wait_line(node, line, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_line(node, line, folder):
    # A line of the log begins with an address, but for what continues one.
    begin = "" if line.startswith("\t") else r"\[:[0-9a-f]{8}\] "
    line = re.escape(line.replace("./examples", str(folder)))
    line = re.sub(r":[0-9a-f]{8}", ":[0-9a-f]{8}", line)  # whatever the address
    node.wait_log(f"^{begin}{line}")


def networks(page):
    """The snippets that run on several nodes: (files with their texts, lines with commands)."""
    files = {}
    for kind, text in BLOCK.findall(page.read_text()):
        name = FILE.match(text)
        if kind == "lua" and name:
            files[name.group(1)] = text
        elif kind == "text" and text.startswith("$ harbor="):
            yield dict(files), text.rstrip("\n").split("\n")


def run_network(files, lines):
    """`$ harbor=N start=NAME` starts a node; `$ harbor=N` alone goes on with its log."""
    folder = Path(tempfile.mkdtemp(prefix="skynet-test-"))
    try:
        for name, text in files.items():
            (folder / f"{name}.lua").write_text(text)
        network = LocalNetwork(luaservice=f"{folder}/?.lua;./service/?.lua")
        nodes = {}
        for line in lines:
            command = re.match(r"\$ harbor=(\d+)(?: start=(\w+))?$", line)
            if command and command.group(2):
                node = network.begin(int(command.group(1)), start=command.group(2))
                nodes[command.group(1)] = node
            elif command:
                node = nodes[command.group(1)]
            else:
                wait_line(node, line, folder)
        for node in nodes.values():
            node.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@case
def the_snippets_run_and_log_what_the_manual_says():
    count = 0
    for page in sorted(DOCS.glob("*.md")):
        for files, start, lines in programs(page):
            print(f"# {page.name}: {start}")
            run_program(files, start, lines)
            count += 1
    assert count >= 6, f"only {count} programs found"


@case
def networks_run_and_log_what_the_manual_says():
    count = 0
    for page in sorted(DOCS.glob("*.md")):
        for files, lines in networks(page):
            print(f"# {page.name}")
            run_network(files, lines)
            count += 1
    assert count >= 1


def test_runs(page):
    """The tests of a page: (files with their texts, arguments of skynet, lines of the report)."""
    files = {}
    for kind, text in BLOCK.findall(page.read_text()):
        name = FILE.match(text)
        if kind == "lua" and name:
            files[name.group(1)] = text
        elif kind == "text" and text.startswith("$ skynet --test "):
            command, *lines = text.rstrip("\n").split("\n")
            yield dict(files), command.split()[3:], lines


@case
def the_tests_run_and_report_what_the_manual_says():
    count = 0
    for page in sorted(DOCS.glob("*.md")):
        for files, words, lines in test_runs(page):
            folder = Path(tempfile.mkdtemp(prefix="skynet-test-"))
            try:
                for name, text in files.items():
                    (folder / f"{name}.lua").write_text(text)
                words = [str(folder / word) if word.endswith(".lua") else word for word in words]
                services = f"luaservice={folder}/?.lua;./service/?.lua"
                paths = [f"cpath={BUILD}/cservice/?.so", f"lua_cpath={BUILD}/luaclib/?.so"]
                sets = [f"--set={setting}" for setting in [services, *paths]]
                report = run(SKYNET, "--test", *words, *sets).text().replace(f"{folder}/", "")
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            seconds = re.compile(r"\([\d.]+ s\)")
            expected = seconds.sub("", "\n".join(lines))
            assert seconds.sub("", report) == expected, report
            count += 1
    assert count >= 1


@case
def every_snippet_with_a_name_is_part_of_a_program():
    for page in sorted(DOCS.glob("*.md")):
        named = {
            FILE.match(text).group(1)
            for kind, text in BLOCK.findall(page.read_text())
            if kind == "lua" and FILE.match(text)
        }
        used = set()
        for files, *_rest in [*programs(page), *test_runs(page), *networks(page)]:
            used |= set(files)
        assert named - {"config"} <= used, f"{page.name}: {named - used} is never run"


def anchor(heading):
    """What a heading is called in a link."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@case
def links_lead_to_files_and_headings():
    for page in [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]:
        text = re.sub(BLOCK, "", page.read_text())
        for path, place in LINK.findall(text):
            if re.match(r"\w+:", path):
                continue  # outside
            target = (page.parent / path) if path else page
            assert target.exists(), f"{page.name}: {path} does not exist"
            if place and target.suffix == ".md":
                headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
                assert place[1:] in map(anchor, headings), f"{page.name}: no heading {place}"


@case
def the_index_lists_every_page():
    index = (DOCS / "README.md").read_text()
    for page in DOCS.glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name


@case
def the_table_of_bytes_is_right():
    rows = re.findall(
        r"^\| `(.+?)` \| `([0-9A-F ]+)`(?: and (\d+) times `(\w\w)`)? \|$",
        (DOCS / "lua-messages.md").read_text(),
        re.MULTILINE,
    )
    assert len(rows) >= 12, rows
    checks = []
    for values, data, times, byte in rows:
        expected = data.replace(" ", "") + (byte * int(times) if times else "")
        checks.append(f"check([==[{values}]==], '{expected}', {values})")
    script = """
        local skynet = require "skynet"
        local function check(text, expected, ...)
            local bytes = skynet.packstring(...):gsub(".", function(byte)
                return ("%02X"):format(byte:byte())
            end)
            if bytes ~= expected then
                error(("%s: %s instead of %s"):format(text, bytes, expected))
            end
        end
        skynet.start(function()
            CHECKS
            skynet.error("all rows are right")
        end)
    """.replace("CHECKS", "\n".join(checks))
    run_program({"rows": script}, "rows", ["all rows are right"])


main()
