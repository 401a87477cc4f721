-- cdummy: takes the place of ".cslave", which knows the network of nodes, on a node without one
-- (config key harbor = 0). skynet.harbor (lualib/skynet/harbor.lua) starts it when somebody waits
-- for a global name.
--
--   QUERYNAME name        -> address    waits until the name is registered
--   REGISTER name, address              it is: sent by skynet.register and skynet.name
--   LINK id                             answers at once: no node is connected
--   CONNECT id, LINKMASTER              fail: no node ever will be

local skynet = require("skynet")
require("skynet.manager")
local core = require("skynet.core")
local waiters = require("skynet.waiters")

--- Those who wait, by the name that they wait for.
---@type table<string, skynet.waiters>
local waiting = {}

local command = {}

function command.QUERYNAME(name)
	local address = core.addresscommand("GLOBALNAME", name)
	if address then
		skynet.retpack(address)
		return
	end
	waiting[name] = waiting[name] or waiters.new(function()
		waiting[name] = nil
	end)
	waiting[name]:add()
end

function command.REGISTER(name, address)
	local list = waiting[name]
	waiting[name] = nil
	if list then
		list:answer(address)
	end
end

function command.LINK()
	skynet.ret()
end

function command.CONNECT(id)
	skynet.error("Can't connect to other harbor in single node mode")
	error(("there is no node %s: this node has no network (harbor = 0)"):format(id), 0)
end

function command.LINKMASTER()
	error("there is no master: this node has no network (harbor = 0)", 0)
end

skynet.start(function()
	skynet.dispatch("lua", function(_, _, name, ...)
		local run = command[name]
		if not run then
			error("Unknown command " .. tostring(name), 0)
		end
		run(...)
	end)
	skynet.register(".cslave")
end)
