--- Packets on the connection between a master and its slaves: four bytes with the length of the
--- rest, the high one first, then values in the format of "lua" messages; the first one is a word
--- that says what they are.
---
--- Nothing that comes is believed: a length above the reader's limit is refused before anything is
--- read, and what cannot be unpacked is no packet.
local skynet = require("skynet")
local socket = require("skynet.socket")

local wire = {
	--- Before the other side has proved who it is.
	HANDSHAKE_LIMIT = 1024,
	--- A snapshot with skynet.network.ledger.NAME_LIMIT names of 16 bytes has half of it.
	LIMIT = 4 * 1024 * 1024,
}

--- No packet has more.
local VALUE_MAX <const> = 8

--- A packet.
---@param kind string
---@param ... any values
---@return string
function wire.packet(kind, ...)
	return string.pack(">s4", skynet.packstring(kind, ...))
end

---@class skynet.network.packet
---@field [1] string what it is
---@field n integer

local function unpacked(ok, ...)
	if not ok then
		return nil, "what came cannot be unpacked"
	end
	local packet = table.pack(...)
	if type(packet[1]) ~= "string" then
		return nil, "what came does not begin with a word"
	elseif packet.n > VALUE_MAX then
		return nil, ("what came has %d values"):format(packet.n)
	end
	return packet
end

--- The values in the bytes of a packet behind its length.
---@param bytes string
---@return skynet.network.packet?
---@return string? reason
function wire.unpack(bytes)
	return unpacked(pcall(skynet.unpack, bytes))
end

local function read(id, size)
	local bytes, rest = socket.read(id, size)
	if bytes then
		return bytes
	elseif bytes == nil then
		return nil, "it has said nothing for too long"
	end
	local _, failure = socket.disconnected(id)
	local ended = rest == "" and "the connection has ended" or "the connection was cut off"
	return nil, failure or ended
end

-- What programs say first that are no master and none of its nodes, where a length is expected.
local OTHERS = {
	["skyn"] = "that of a node, which listens at its config key address",
	["GET "] = "HTTP",
	["POST"] = "HTTP",
	["HTTP"] = "HTTP",
	["SSH-"] = "SSH",
}

--- Who speaks it has the key, and this node has not.
local TLS <const> = "TLS; config key harbor_certificate is not set here"

--- Why these four bytes are not the length of a packet.
local function tell_stranger(header, size, limit)
	local text = "a packet of %d bytes was announced; at most %d may come here"
	local other = OTHERS[header] or header:find("^[\21\22]\3[\1-\4]") and TLS
	return text:format(size, limit) .. (other and (" (the protocol is %s)"):format(other) or "")
end

--- Reads the next packet; socket.timeout says how long. Waits.
---@param id integer
---@param limit integer bytes
---@return skynet.network.packet?
---@return string? reason
---@return boolean? is_garbage it has come, and is no packet
function wire.read(id, limit)
	local header, reason = read(id, 4)
	if not header then
		return nil, reason
	end
	local size = string.unpack(">I4", header)
	if size > limit then
		return nil, tell_stranger(header, size, limit), true
	end
	local bytes = ""
	if size > 0 then
		bytes, reason = read(id, size)
		if not bytes then
			return nil, reason
		end
	end
	local packet, problem = wire.unpack(bytes)
	return packet, problem, packet == nil
end

return wire
