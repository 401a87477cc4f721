---@meta skynet.packet
-- Declarations of `require "skynet.packet"`: messages of channels, for skynet.multicast and its
-- service.
-- luacheck: ignore 212

---@class skynet.packet
local packet = {}

--- Makes a message of type "multicast": the number of a channel, and bytes behind it.
---@param channel integer
---@param message string|lightuserdata a block is taken
---@param size? integer of a block
---@return lightuserdata block
---@return integer size
function packet.pack(channel, message, size) end

--- Takes such a message apart; what was published lies inside of it.
---@param message lightuserdata
---@param size integer
---@return integer channel
---@return lightuserdata published
---@return integer size
function packet.unpack(message, size) end

--- Sends such a message to many. They share one copy of it. Who is gone, or has a full mailbox,
--- does not get it.
---@param message lightuserdata is lent
---@param size integer
---@param source integer as if it came from there; 0: from this service
---@param receivers integer[] addresses
function packet.send(message, size, source, receivers) end

return packet
