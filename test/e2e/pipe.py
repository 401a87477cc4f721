"""A pipe between nodes byte by byte, for tests that are one end of it. The formats are those of
service-src/harbor/handshake.h and frame.h."""

import hashlib
import hmac
import os
import struct

from harness import recv_exactly

VERSION = 1
HELLO, PROOF, REFUSED = 1, 2, 3
MESSAGE, PART, PROBE, LINK, UNLINK, ACK, BEAT, ECHO = range(1, 9)
_LONGEST_MESSAGE = 16777203


def preamble(version=VERSION):
    return b"skynet" + struct.pack(">H", version)


def record(kind, body):
    return struct.pack(">HB", len(body), kind) + body


def hello(id, wanted, tie=None, known_tie=0, received=0):
    """The body of a HELLO, of one who has a secret."""
    tie = tie or int.from_bytes(os.urandom(8), "big") | 1
    return (struct.pack(">BBBBQQQI", id, wanted, 1, 0, tie, known_tie, received, _LONGEST_MESSAGE)
            + os.urandom(32))


def proof(secret, who, hellos):
    """who: b"dial" or b"accept"; hellos: the dialler's and the acceptor's, bodies."""
    text = who.ljust(8, b"\0") + b"".join(hellos)
    return hmac.new(secret.encode(), text, hashlib.sha256).digest()


def frame(kind, payload=b"", type=0, flags=0, source=0, destination=0, session=0, length=None):
    """length: what the first four bytes say, if not the truth."""
    rest = struct.pack(">BBHIII", kind, type, flags, source, destination, session) + payload
    return struct.pack(">I", len(rest) if length is None else length) + rest


def read_record(connection):
    """(kind, body) of the next record; skips a preamble in front of it."""
    head = recv_exactly(connection, 3)
    if head == b"sky":
        recv_exactly(connection, 5)
        head = recv_exactly(connection, 3)
    size, kind = struct.unpack(">HB", head)
    return kind, recv_exactly(connection, size)


def open_pipe(connection, secret, id, wanted):
    """Says what node `id` says that dials `wanted`. Raises with the other end's words when that
    refuses."""
    own = hello(id, wanted)
    connection.sendall(preamble() + record(HELLO, own))
    kind, other = read_record(connection)
    if kind == HELLO:
        connection.sendall(record(PROOF, proof(secret, b"dial", (own, other))))
        kind, answer = read_record(connection)
        if kind == PROOF:
            assert answer == proof(secret, b"accept", (own, other)), "a wrong proof"
            return
        other = answer
    assert kind == REFUSED, f"a record of kind {kind}"
    raise AssertionError("refused: " + other[1:].decode())
