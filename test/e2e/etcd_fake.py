"""Servers that are no good etcd: some answer nonsense, some pass on to a real one, and cut it."""

import socket
import threading
from pathlib import Path

import harness

# As /proc/net/tcp has it.
ESTABLISHED = "01"


class Server:
    """Serves each connection in a thread of its own; ends with the case."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        self._open = []
        harness._started.append(self)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(client)
            threading.Thread(
                target=self._serve, args=(client, self.connections), daemon=True
            ).start()

    def _serve(self, client, number):
        with client:
            try:
                self.serve(client, number)
            except OSError:
                pass  # the other end had enough

    def serve(self, client, number):
        raise NotImplementedError

    def cut(self):
        """Ends all connections."""
        while self._open:
            end(self._open.pop())

    def close(self):
        end(self._listener)
        self.cut()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        harness._started.remove(self)
        self.close()


def end(connection):
    """Has those that wait on it go on, too."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is over
    connection.close()


class Fake(Server):
    """Answers each request with the same pieces; a function is called with the connection."""

    def __init__(self, *pieces):
        self.pieces = pieces
        super().__init__()

    def serve(self, client, number):
        while self._read_request(client):
            for piece in self.pieces:
                if callable(piece):
                    piece(client)
                else:
                    client.sendall(piece)
            if self.pieces[-1:] != (keep,):
                return

    @staticmethod
    def _read_request(client):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = client.recv(65536)
            if not piece:
                return False
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(body) < size:
            body += client.recv(65536)
        return True


def keep(_client):
    """The last piece of a server that takes further requests on the connection."""


def wait(client):
    """A piece: nothing, until the client goes."""
    while client.recv(65536):
        pass


def flood(piece):
    """A piece: the same again and again, until the client goes."""

    def send(client):
        while True:
            client.sendall(piece)

    return send


class Proxy(Server):
    """Passes on to a port. limit(number) says after how many bytes of answers the connection with
    that number is cut; None: never. Bytes behind `mute` (an Event that is set) are swallowed."""

    def __init__(self, port, limit=lambda number: None):
        self.target = port
        self.limit = limit
        self.mute = threading.Event()
        super().__init__()

    def serve(self, client, number):
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            threading.Thread(target=self._copy, args=(client, server), daemon=True).start()
            left = self.limit(number)
            while True:
                data = server.recv(65536)
                if not data:
                    break
                if self.mute.is_set():
                    continue
                self.pass_on(client, data if left is None else data[:left])
                left = left if left is None else left - len(data)
                if left is not None and left <= 0:
                    break
            end(client)
            end(server)

    def pass_on(self, client, data):
        client.sendall(data)

    def turn(self, port):
        """Passes on to another port from now on."""
        self.target = port
        self.cut()

    @staticmethod
    def _copy(client, server):
        try:
            data = client.recv(65536)
            while data:
                server.sendall(data)
                data = client.recv(65536)
        except OSError:
            pass  # the other direction ends it
        end(server)


class Holder(Proxy):
    """Passes on, but for answers while they are held. `held` has the connections they belong to."""

    def __init__(self, port):
        self.held = []
        self._answered = []
        self._goes_on = threading.Event()
        self._goes_on.set()
        super().__init__(port)

    def pass_on(self, client, data):
        if not self._goes_on.is_set():
            self.held.append(client)
            self._goes_on.wait()
        super().pass_on(client, data)
        self._answered.append(client)

    def answered_count(self):
        """How many connections there are over which an answer was passed on."""
        return sum(unread(connection) is not None for connection in set(self._answered))

    def hold(self):
        self.held = []
        self._goes_on.clear()

    def release(self):
        self._goes_on.set()

    def close(self):
        self.release()
        super().close()


def unread(connection):
    """How many bytes that have reached the other end of a connection (on this machine, IPv4) its
    process has not read; None: it has closed it."""
    try:
        ends = connection.getpeername()[1], connection.getsockname()[1]
    except OSError:
        return None
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, local, remote, state, queues = line.split()[:5]
        if ends == tuple(int(address.split(":")[1], 16) for address in (local, remote)):
            return int(queues.split(":")[1], 16) if state == ESTABLISHED else None
    return None
