"""The console: lines on the standard input of a node start services."""

import os
import subprocess

from harness import Node, case, main

CONFIG = {"start": "console"}


def console():
    node = Node(stdin=subprocess.PIPE, **CONFIG)
    node.wait_log("LAUNCH snlua console")
    return node


@case
def a_line_starts_a_service():
    with console() as node:
        node.write("simpledb\n\n  \n  simpledb \t one  two\r\n")
        node.wait_log(r"LAUNCH snlua simpledb$")
        node.wait_log(r"LAUNCH snlua simpledb one two$")


@case
def a_line_may_come_in_pieces():
    with console() as node:
        for piece in ("sim", "pl", "edb a", "bc", "\nsimple", "db second\n"):
            node.write(piece)
        node.wait_log(r"LAUNCH snlua simpledb abc$")
        node.wait_log(r"LAUNCH snlua simpledb second$")


@case
def what_cannot_be_started_harms_nothing():
    with console() as node:
        node.write("no_such_service\n\0\nsnax\nsnax thing\nsimpledb still here\n")
        node.wait_log("no_such_service")
        node.wait_log(r"LAUNCH snlua simpledb still here$")


@case
def it_survives_the_end_of_its_input():
    with console() as node:
        node.write("simpledb last line without end")
        node.end_input()
        node.wait_log(r"LAUNCH snlua simpledb last line without end$")
        node.wait_log(r"KILL self")
        assert "traceback" not in node.text()


@case
def input_may_be_a_file_or_nothing():
    reader, writer = os.pipe()
    os.write(writer, b"simpledb from a pipe\n")
    os.close(writer)
    for stdin in (reader, subprocess.DEVNULL):
        with Node(stdin=stdin, **CONFIG) as node:
            if stdin == reader:
                node.wait_log(r"LAUNCH snlua simpledb from a pipe$")
            node.wait_log(r"\[:0000000[67]\] KILL self")
    os.close(reader)
    with open(__file__, "rb") as file, Node(stdin=file, **CONFIG) as node:
        node.wait_log("import")  # its lines are no services, but are read


@case
def an_endless_line_is_cut_off():
    with console() as node:
        node.write("x" * 70000)
        node.wait_log("socket buffer overflow")
        assert node.is_running()


main()
