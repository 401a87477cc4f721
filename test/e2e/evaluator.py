"""A node whose Lua is written in the test: the service evaluator.lua runs what a client sends."""

from harness import Node, connect, free_port, recv_frame, send_frame


class Failed(Exception):
    """What the chunk has raised."""


class Evaluator(Node):
    """A node, and a first connection to its service."""

    def __init__(self, **settings):
        self.port = free_port()
        super().__init__(start="evaluator", evaluator_port=self.port, **settings)
        self.wait_log("evaluator is ready")
        self._client = self.client()

    def client(self):
        """One more connection: what it asks for runs beside the rest."""
        return Client(connect(self.port))

    def run(self, code):
        return self._client.run(code)


class Client:
    def __init__(self, connection):
        self._connection = connection
        self.run("return 1")  # it is accepted: the node has its descriptor from now on

    def send(self, code):
        send_frame(self._connection, code)

    def receive(self):
        kind, _, text = recv_frame(self._connection).decode().partition(" ")
        if kind != "ok":
            raise Failed(text)
        return text

    def run(self, code):
        """Runs a chunk, and returns what it has returned, as text, with commas between."""
        self.send(code)
        return self.receive()


def failure(function, *arguments):
    """The text that function(...) fails with."""
    try:
        result = function(*arguments)
    except Failed as error:
        return str(error)
    raise AssertionError(f"it did not fail, but returned {result}")
