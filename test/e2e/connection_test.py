"""The service connection: descriptors that a node has inherited, pipes and TCP connections."""

import os
import socket
import tempfile

from harness import Node, case, connect, free_port, main, wait_until

MIB = 1 << 20


class User(Node):
    """A node with a connection service and somebody who uses it."""

    def __init__(self, *descriptors, **settings):
        port = free_port()
        super().__init__(
            start="connection_user", user_port=port, descriptors=descriptors, **settings
        )
        for descriptor in descriptors:
            os.close(descriptor)  # the node has it
        self.wait_log(r"\] ready$")
        self.control = connect(port).makefile("rw")

    def ask(self, text):
        self.control.write(text + "\n")
        self.control.flush()
        return self.control.readline().strip()

    def has_open(self, descriptor):
        return os.path.exists(f"/proc/{self.pid}/fd/{descriptor}")


def pipe():
    """The ends of a pipe: (reader, writer)."""
    reader, writer = os.pipe()
    return reader, os.fdopen(writer, "wb", 0)


@case
def what_comes_from_a_pipe_is_passed_on():
    reader, writer = pipe()
    with User(reader) as node:
        assert node.ask(f"ADD {reader} ME") == "ok"
        for text in (b"one", b"two"):
            writer.write(text)
            node.wait_log(rf"\] got {text.decode()}$")
        writer.close()
        node.wait_log(r"\] ended$")
        wait_until(lambda: not node.has_open(reader), "the descriptor is closed")
        assert "cannot do this" in node.ask(f"DEL {reader}")
        node.wait_log(rf"\[connection\] Delete invalid handle {reader}$")


@case
def what_comes_from_a_connection_is_passed_on():
    near, far = socket.socketpair()
    descriptor = os.dup(far.fileno())
    far.close()
    with User(descriptor) as node:
        assert node.ask(f"ADD {descriptor} ME") == "ok"
        near.sendall(b"hello")
        node.wait_log(r"\] got hello$")
        assert node.ask(f"DEL {descriptor}") == "ok"
        assert near.recv(1) == b"", "it is closed"
        assert not node.has_open(descriptor)
        assert "ended" not in node.text()


@case
def a_tcp_connection_may_be_reset():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        near = connect(listener.getsockname()[1])
        far, _ = listener.accept()
    descriptor = far.detach()
    with User(descriptor) as node:
        assert node.ask(f"ADD {descriptor} ME") == "ok"
        near.sendall(b"hello")
        node.wait_log(r"\] got hello$")
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        near.close()
        node.wait_log(rf"\[connection\] error on {descriptor}: ")
        node.wait_log(r"\] ended$")
        wait_until(lambda: not node.has_open(descriptor), "the descriptor is closed")


@case
def many_descriptors_are_kept_apart():
    pipes = [pipe() for _ in range(40)]
    with User(*(reader for reader, _ in pipes)) as node:
        for reader, _ in pipes:
            assert node.ask(f"ADD {reader} ME") == "ok"
        for number, (reader, writer) in enumerate(pipes):
            writer.write(b"from %d" % number)
            node.wait_log(rf"\] got from {number}$")
            if number % 2:
                assert node.ask(f"DEL {reader}") == "ok"
        for number, (reader, writer) in enumerate(pipes):
            assert node.has_open(reader) == (number % 2 == 0)
            writer.close()
        for _ in range(20):
            node.wait_log(r"\] ended$")
        wait_until(lambda: not any(node.has_open(r) for r, _ in pipes), "all are closed")


@case
def wrong_commands_are_refused():
    reader, writer = pipe()
    with User(reader) as node:
        for word in ("ADD", "DEL"):
            wrong = [f"{word} ", f"{word} x", f"{word} -1", f"{word} 1 2 3", f"{word} {'9' * 200}"]
            if word == "ADD":
                wrong += [f"ADD {reader}", f"ADD {reader} :", f"ADD {reader} :0", "ADD 999 ME"]
                wrong += [f"ADD {reader} :1x", f"ADD {reader} :123456789", f"ADD {reader} .x"]
            for text in wrong:
                assert "cannot do this" in node.ask(text), text
                node.wait_log(r"\[connection\] Invalid (ADD |DEL )?command from ")
        assert "cannot do this" in node.ask("WATCH 7")
        node.wait_log(r"\[connection\] Invalid command from \w+ \(session = \d+\)")
        assert node.ask(f"ADD {reader} ME") == "ok"
        assert "cannot do this" in node.ask(f"ADD {reader} ME"), "twice"
        writer.write(b"fine")
        node.wait_log(r"\] got fine$")
        writer.close()


@case
def a_receiver_that_is_gone_ends_the_watch():
    reader, writer = pipe()
    with User(reader) as node:
        assert node.ask(f"ADD {reader} :fffff0") == "ok"
        writer.write(b"for nobody")
        node.wait_log(rf"\[connection\] {reader} is closed: its receiver :00fffff0 has ended")
        wait_until(lambda: not node.has_open(reader), "the descriptor is closed")


@case
def the_end_of_a_node_ends_the_watches_for_it():
    pipes = [pipe() for _ in range(3)]
    (near, to_near), (gone, to_gone), (refused, to_refused) = pipes
    with User(*(reader for reader, _ in pipes)) as node:
        node.ask("HARBOR node 5 1")
        node.ask("HARBOR node 6 1")
        assert node.ask(f"ADD {near} :06000001") == "ok"
        assert node.ask(f"ADD {gone} :05000001") == "ok"
        to_near.write(b"x")
        to_gone.write(b"x")
        wait_until(lambda: node.ask("HARBOR list") == "ok probe 2", "both are probed")
        node.ask("HARBOR die 5 node 5 is gone")
        node.wait_log(rf"\[connection\] {gone} is closed: its receiver :05000001 was on a node")
        wait_until(lambda: not node.has_open(gone), "the descriptor is closed")
        assert node.has_open(near)
        node.ask("HARBOR node 5 0 it burns")
        assert node.ask(f"ADD {refused} :05000001") == "ok"
        to_refused.write(b"x")
        node.wait_log(rf"\[connection\] {refused} is closed: its receiver :05000001 has ended")
        to_near.close()


@case
def a_slow_receiver_makes_the_sender_wait():
    near, far = socket.socketpair()
    descriptor = os.dup(far.fileno())
    far.close()
    near.setblocking(False)
    fifo = f"{tempfile.gettempdir()}/skynet-test-{os.getpid()}"
    os.mkfifo(fifo)
    try:
        with User(descriptor, user_fifo=fifo) as node:
            assert node.ask(f"ADD {descriptor} STUCK") == "ok"
            total, idle = 0, 0
            while idle < 20:  # until neither the kernel nor the node takes more
                try:
                    total += near.send(b"x" * 65536)
                    idle = 0
                except BlockingIOError:
                    idle += 1
                    assert node.ask("nothing") != ""  # it lives, and has had its turn
                assert total < 16 * MIB, "it is read without end"
            with open(fifo, "wb"):  # who waits for this goes on
                pass
            near.setblocking(True)
            near.sendall(b"x" * 4 * MIB)  # it is read on
            near.close()
            wait_until(lambda: not node.has_open(descriptor), "all was read")
    finally:
        os.unlink(fifo)


main()
