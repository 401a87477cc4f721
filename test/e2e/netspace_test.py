"""Cables that are pulled, packets that are lost, and wires: the test network does what it says."""

import socket
import time

from harness import case, main, recv_exactly, wait_closed
from netspace import Network, Wire

PORT = 5000
# How long something that shall not arrive is waited for.
SILENCE_S = 0.3


class Line:
    """Two hosts, and a connection from the first to the second."""

    def __init__(self):
        self.network = Network()
        self.one, self.two = self.network.hosts(2)
        self._listener = self.two.listen(PORT)
        self.near, self.far = self.connect()

    def connect(self):
        near = self.one.connect(PORT, self.two.address)
        far, _ = self._listener.accept()
        far.settimeout(15)
        return near, far


def send(sender, receiver, data=b"word"):
    sender.sendall(data)
    assert recv_exactly(receiver, len(data)) == data


def check_lost(sender, receiver, data=b"word"):
    """It does not arrive; the caller ends what holds it up, and waits for it."""
    sender.sendall(data)
    receiver.settimeout(SILENCE_S)
    try:
        raise AssertionError(f"{receiver.recv(100)} has arrived")
    except socket.timeout:
        receiver.settimeout(15)


@case
def nothing_passes_a_cable_that_is_pulled():
    line = Line()
    send(line.near, line.far)
    for host in (line.one, line.two):
        line.network.cut(host)
        check_lost(line.near, line.far)
        line.network.mend(host)
        assert recv_exactly(line.far, 4) == b"word"
    send(line.far, line.near)


@case
def packets_are_lost_only_one_way():
    line = Line()
    line.network.lose(line.one, line.two)
    check_lost(line.near, line.far)
    send(line.far, line.near)
    line.network.heal(line.two)
    assert recv_exactly(line.far, 4) == b"word"


@case
def a_wire_cuts_after_just_so_many_bytes():
    line = Line()
    wire = Wire(line.network, line.one, line.two, PORT, cuts=(5, 3))
    for cut in (5, 3):
        near, far = line.connect()
        send(far, near)
        near.sendall(b"123456789")
        assert wait_closed(far) == b"123456789"[:cut]
        wait_closed(near)
    near, far = line.connect()
    send(near, far, b"x" * 1000)
    send(line.near, line.far)  # it was there before the wire
    assert (wire.connections, wire.resets) == (3, 2)


@case
def a_wire_delays_each_way_and_passes_the_end_on():
    line = Line()
    Wire(line.network, line.one, line.two, PORT, delay_s=SILENCE_S)
    near, far = line.connect()
    begin = time.monotonic()
    send(near, far, b"there")
    send(far, near, b"and back")
    assert time.monotonic() - begin >= 2 * SILENCE_S
    near.sendall(b"last")
    near.shutdown(socket.SHUT_WR)
    assert wait_closed(far) == b"last"
    far.sendall(b"answer")
    far.close()
    assert wait_closed(near) == b"answer"


main()
