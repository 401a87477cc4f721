---@meta skynet.netpack
-- Declarations of `require "skynet.netpack"`: packets with a length of 2 bytes in front, the high
-- one first, for gates in Lua that take socket messages themselves.
-- luacheck: ignore 212

---@class skynet.netpack
local netpack = {}

--- Tells what a socket message means to a gate. Its buffer is freed.
---
--- | type | then |
--- | --- | --- |
--- | nil | nothing is complete yet |
--- | "data" | id, block, size: one packet |
--- | "more" | several: take them with pop |
--- | "init" | id, text, port: listening, connected or started |
--- | "open" | id of the new socket, "ip:port" |
--- | "close" | id |
--- | "error" | id, text |
--- | "warning" | id, KB that wait to be sent |
---@param queue userdata? nil at first
---@param message lightuserdata
---@param size integer
---@return userdata? queue to be given the next time
---@return string? type
---@return integer? id
---@return string|lightuserdata|integer|nil third
---@return integer? fourth
function netpack.filter(queue, message, size) end

--- Takes the next packet of those that filter called "more".
---@param queue userdata?
---@return integer? id nil: there is none
---@return lightuserdata block to be freed, with tostring or skynet.trash
---@return integer size
function netpack.pop(queue) end

--- Drops all that waits, also packets that are not complete.
---@param queue userdata?
function netpack.clear(queue) end

--- Puts the length in front. Raises when there are more than 65535 bytes.
---@param data string|lightuserdata a block is borrowed
---@param size? integer of a block
---@return lightuserdata block given, to be sent
---@return integer size
function netpack.pack(data, size) end

--- Makes a string of a packet, and frees it.
---@param block lightuserdata taken
---@param size integer
---@return string
function netpack.tostring(block, size) end

return netpack
