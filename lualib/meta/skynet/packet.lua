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

--- A set of addresses.
---@class skynet.packet.receivers
---@field add fun(self, address: integer): boolean false: it was there already
---@field remove fun(self, address: integer): boolean false: it was not there
---@field all fun(self): integer[] in ascending order

--- An empty set.
---@return skynet.packet.receivers
function packet.receivers() end

--- Sends a message to many services, which share its bytes. Who is gone, or has a full mailbox,
--- does not get it.
---@param message lightuserdata borrowed
---@param size integer
---@param source integer who seems to send it
---@param receivers skynet.packet.receivers
function packet.send(message, size, source, receivers) end

return packet
