--- Where channels live: the service multicastd of each node has a global name, by which those of
--- other nodes find it. Only multicastd uses this (service/multicastd.lua).
local skynet = require("skynet")
local core = require("skynet.core")
local harbor = require("skynet.harbor")
local link = require("skynet.link")

local NODE <const> = skynet.harbor(skynet.self())
local HAS_NETWORK <const> = skynet.getenv("harbor") ~= "0"
--- How long to wait for the name of a node that is there. It has made the channel, so the name is
--- on its way; that way may be longer than the one of the channel's number.
local NAME_LIMIT_CS <const> = 500

--- A multicastd of another node. One that ended is never there again: who takes its place on the
--- same node has another address.
---@class multicast_home
---@field address integer
---@field unlink fun()

---@type table<integer, multicast_home> by node
local homes = {}

local module = {}

local function name_of(node)
	return ("MULTICAST:%d"):format(node)
end

--- Tells the other nodes where the channels of this one live.
function module.announce()
	if HAS_NETWORK then
		harbor.globalname(name_of(NODE))
	end
end

--- The address of a node's multicastd, or nil and why there is none. Waits.
local function query(node)
	if not HAS_NETWORK then
		return nil, "this node has no network (harbor = 0)"
	elseif not harbor.members()[node] then
		return nil, "it is not in the network"
	end
	local ok, answer = pcall(skynet.call_within, NAME_LIMIT_CS, ".cslave", "lua", "QUERYNAME",
		name_of(node))
	return ok and answer, "it has not told where its channels live: " .. answer
end

local function forget(node, home, reason, on_end)
	if homes[node] == home then
		homes[node] = nil
		on_end(home.address, reason)
	end
end

--- The address of the multicastd that a channel lives with. Raises when its node is not there.
--- Waits, unless it is known.
---@param number integer of a channel of another node
---@param on_end fun(address: integer, reason: string) called once, when it is not there any more
---@return integer address
function module.find(number, on_end)
	local node = number & 0xff
	local address = core.addresscommand("GLOBALNAME", name_of(node))
	local reason
	if not address then
		address, reason = query(node)
	end
	local home = homes[node]
	if home and home.address ~= address then
		home.unlink()
		forget(node, home, reason or "its node has started anew", on_end)
		home = nil
	end
	if not address then
		local text = "channel %x belongs to node %d: %s"
		error(text:format(number, node, reason), 0)
	end
	if not home then
		home = { address = address }
		homes[node] = home
		home.unlink = link.link(address, function(_, why)
			forget(node, home, why, on_end)
		end)
	end
	return address
end

return module
