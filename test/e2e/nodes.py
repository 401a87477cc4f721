"""Several nodes on loopback that are one network; the test sends each of them Lua to run.

    network = LocalNetwork()
    first, second = network.start(1), network.start(2)
    second.run('return skynet.call("LOG", "lua", "hello")')

Node 1 has the master, unless the settings say something else.
"""

from evaluator import Client, Failed
from harness import DEADLINE_S, Node, connect, free_port, wait_until

# What each chunk may use.
_PRELUDE = """
require "skynet.manager"
harbor = require "skynet.harbor"
datacenter = require "skynet.datacenter"
"""


class NetworkNode(Node):
    """A node of a network, whose start service runs what the test sends (evaluator.lua)."""

    def __init__(self, id, **settings):
        self.id = id
        self.port = free_port()
        self._client = None
        super().__init__(
            harbor=id,
            **{"thread": 2, "start": "evaluator", "evaluator_port": self.port, **settings},
        )

    def wait_ready(self, deadline_s=DEADLINE_S):
        """Waits until it is part of the network and runs Lua. Returns it."""
        self.wait_log("evaluator is ready", deadline_s)
        self._client = self.client()
        self._client.run(_PRELUDE)
        return self

    def client(self):
        """One more connection: what it asks for runs beside the rest."""
        return Client(connect(self.port))

    def run(self, code):
        """Runs a chunk; returns what it has returned, as text, with commas between."""
        return self._client.run(code)

    def wait_run(self, code, expected):
        """Runs a chunk again and again until it returns that. What it raises is no end."""
        results = [None]

        def is_there():
            try:
                results[0] = self.run(code)
            except Failed as error:
                results[0] = str(error)
            return results[0] == expected

        try:
            wait_until(is_there, expected)
        except AssertionError:
            raise AssertionError(f"node {self.id}: {code}: {results[0]}, not {expected}") from None


class LocalNetwork:
    """The ports that nodes of a network use, and settings that all of them have."""

    def __init__(self, **settings):
        self.master_port = free_port()
        self._ports = {}
        self._settings = settings

    def begin(self, id, **settings):
        """Starts a node, and does not wait for it. Settings that are None are left out."""
        port = self._ports.setdefault(id, free_port())
        master = f"127.0.0.1:{self.master_port}"
        all_settings = {
            "address": f"127.0.0.1:{port}",
            "master": master,
            "standalone": master if id == 1 else None,
            **self._settings,
            **settings,
        }
        return NetworkNode(id, **{k: v for k, v in all_settings.items() if v is not None})

    def start(self, id, **settings):
        """Starts a node, and waits until it is part of the network."""
        return self.begin(id, **settings).wait_ready()

    def start_all(self, count, **settings):
        """Starts the nodes 1 to `count`, one after another."""
        return [self.start(id, **settings) for id in range(1, count + 1)]
