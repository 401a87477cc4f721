--- For tests of a master and its slaves over real sockets.
local skynet = require("skynet")
local test = require("skynet.test")
local registry = require("skynet.registry")

local slaves = {}

--- Starts a master that listens on the address, or on any free port. Returns its service, and where
--- it listens.
function slaves.start_master(address, timeout_cs)
	local service = skynet.newservice("cmaster", address or "127.0.0.1:0", timeout_cs or 500)
	return service, skynet.call(service, "lua", "STAT").address
end

--- A slave whose callbacks leave what they were told in its lists.
function slaves.new(url, id, letter, options)
	local slave = { told = {}, changes = {}, letter = letter }
	options = options or {}
	slave.backend = registry.open({
		url = url,
		id = id,
		address = "127.0.0.1:" .. 2500 + id,
		incarnation = letter:rep(16),
		timeout_cs = options.timeout_cs or 500,
		join_timeout_cs = options.join_timeout_cs or 1000,
		secret = options.secret or "",
		on_change = function(change)
			if options.on_change then
				options.on_change(change)
			end
			local what = change.name or change.id or change.base
			table.insert(slave.changes, ("%s %s"):format(change.kind, what))
		end,
		on_lost = function()
			table.insert(slave.told, "lost")
		end,
		on_back = function()
			table.insert(slave.told, "back")
		end,
		on_evicted = function(reason)
			table.insert(slave.told, "evicted")
			slave.reason = reason
		end,
	})
	return slave
end

function slaves.join(url, id, letter, options)
	local slave = slaves.new(url, id, letter, options)
	slave.snapshot = assert(slave.backend:join())
	return slave
end

--- What the master has counted.
function slaves.counted(service, what)
	return skynet.call(service, "lua", "STAT").connections[what]
end

function slaves.wait_for(list, text)
	test.eventually(function()
		return table.concat(list, ","):find(text, 1, true)
	end)
end

return slaves
