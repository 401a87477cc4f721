"""Processes that use the registry in etcd without being nodes of a network."""

import json

from evaluator import Evaluator, failure
from harness import free_port, wait_until

# Leases that do not run out by themselves, and those that soon do.
LONG_CS = 360000
SHORT_CS = 300

PRELUDE = """
local registry = require("skynet.registry")
backends, told = {}, {}

local function describe(change)
	local words = { change.kind }
	for _, field in ipairs({ "id", "incarnation", "address", "name", "handle", "base" }) do
		words[#words + 1] = change[field] and tostring(change[field])
	end
	return table.concat(words, " ")
end

function open(name, options)
	local mine = { changes = {}, events = {} }
	local function note(word)
		return function(reason)
			table.insert(mine.events, word)
			skynet.error(("%s %s: %s"):format(name, word, reason))
		end
	end
	options.on_change = function(change)
		table.insert(mine.changes, ("%d %s"):format(change.revision, describe(change)))
	end
	options.on_lost, options.on_back = note("lost"), note("back")
	options.on_evicted = note("evicted")
	backends[name], told[name] = registry.open(options), mine
end

function join(name)
	local snapshot, reason = backends[name]:join()
	if not snapshot then
		error(reason, 0)
	end
	local members, names = {}, {}
	for id, member in pairs(snapshot.members) do
		members[#members + 1] = ("%d=%s"):format(id, member.address)
	end
	for key, handle in pairs(snapshot.names) do
		names[#names + 1] = ("%s=%x"):format(key, handle)
	end
	table.sort(members)
	table.sort(names)
	return ("%s|%s|%d"):format(table.concat(members, " "), table.concat(names, " "),
		snapshot.base)
end
"""


class User(Evaluator):
    """A process that has backends of the registry, each with a name of its own."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.run(PRELUDE)

    def close(self):
        super().close()
        assert "stack traceback" not in self.text(), self.text()

    def open(self, name, url, node, incarnation=None, **more):
        """Opens a backend. Its address is one where nobody listens, unless told."""
        options = {
            "url": url,
            "id": node,
            "incarnation": f"{incarnation or node:016x}",
            "address": f"127.0.0.1:{free_port()}",
            "timeout_cs": LONG_CS,
            "join_timeout_cs": 3000,
            **more,
        }
        fields = ", ".join(
            f"{key} = {json.dumps(value) if isinstance(value, str) else value}"
            for key, value in options.items()
        )
        self.run(f'open("{name}", {{ {fields} }})')
        return options["address"]

    def join(self, name, *arguments, **options):
        """Opens a backend and joins. Returns members, names and the base, as a text."""
        self.open(name, *arguments, **options)
        return self.run(f'return join("{name}")')

    def refusal(self, *arguments, join_timeout_cs=3000, **options):
        """The reason why it cannot join. Where there was no time to learn it, it has more of it."""
        options["join_timeout_cs"] = join_timeout_cs
        while True:
            text = failure(lambda: self.join(*arguments, **options))
            if not text.endswith(": timeout"):
                return text
            options["join_timeout_cs"] *= 2

    def register(self, name, key, handle):
        return int(self.run(f'return assert(backends.{name}:register("{key}", {handle}))'), 10)

    def unregister(self, name, key, handle):
        self.run(f'backends.{name}:unregister("{key}", {handle})')

    def changes(self, name):
        """What it was told, without the revisions."""
        return [line.split(" ", 1)[1] for line in self.history(name)]

    def history(self, name):
        text = self.run(f'return table.concat(told.{name}.changes, "\\n")')
        return text.split("\n") if text else []

    def events(self, name):
        return self.run(f"return told.{name}.events").split()

    def wait_change(self, name, text):
        """Waits until it was told something that contains the text."""
        wait_until(
            lambda: any(text in line for line in self.changes(name)),
            f"a change '{text}' is told",
        )

    def wait_event(self, name, word):
        wait_until(lambda: word in self.events(name), f"{name} is told: {word}")
