---@meta skynet.core
-- Declarations of `require "skynet.core"` for editors and checkers (LuaCATS): functions closer to
-- the core than those of `skynet`, for wrappers and tools. Types are numbers here, and nothing is
-- packed. genid, error, harbor, tostring, pack, unpack, packstring, trash, now and hpc are those of
-- `skynet`.
-- luacheck: ignore 212

---@class skynet.core
local core = {}

core.genid = nil
core.error = nil
core.harbor = nil
core.tostring = nil
core.pack = nil
core.unpack = nil
core.packstring = nil
core.trash = nil
core.now = nil
core.hpc = nil

--- Has f get all messages of this service from now on, outside of any task: it must not wait. What
--- it raises is logged, and fails the request at hand.
---@param f fun(type: integer, message: lightuserdata, size: integer, ...: integer) and the session
--- and source
---@param keeps? boolean f owns the blocks of messages; otherwise they are lent
function core.callback(f, keeps) end

--- Sends bytes.
---@param address skynet.address
---@param type integer
---@param session? integer nil: a new one
---@param message? skynet.bytes a block is taken
---@param size? integer
---@return integer|false|nil session nil: no such service; false: too large, or its mailbox is full
function core.send(address, type, session, message, size) end

--- The same, as if from another service.
---@param address skynet.address
---@param source integer
---@param type integer
---@param session? integer nil: a new one
---@param message? skynet.bytes a block is taken
---@param size? integer
---@return integer|false|nil session
function core.redirect(address, source, type, session, message, size) end

--- Makes the block of the message that is being handled the caller's: it frees it, with
--- skynet.trash, or sends it on. Only before its task has waited; it may be the unpack function of
--- a protocol, whose handler then owns the block. Raises for any other block.
---@param message lightuserdata
---@param size integer
---@return lightuserdata message
---@return integer size
function core.keep(message, size) end

--- Runs a command of the framework; docs/c-services.md lists them.
---@param name string
---@param parameter? string|number
---@return string? result
function core.command(name, parameter) end

--- The same, where the result is a number.
---@param name string
---@param parameter? string|number
---@return number? result
function core.intcommand(name, parameter) end

--- The same, where the result is an address.
---@param name string
---@param parameter? string
---@return integer? handle
function core.addresscommand(name, parameter) end

--- Asks to be told when a service has ended, by the error message of this session.
---@param address skynet.address
---@return integer? session nil: there is no such service
function core.link(address) end

--- Suspends the task until that happens, or the link is undone, or the address is one of another
--- node, which is gone. It has to be called before the next
--- message is handled: by the task that has linked, or by one that it forks. Waits.
---@param session integer
---@param address? skynet.address that was linked
---@return string reason
function core.await_end(session, address) end

--- Undoes a link.
---@param address skynet.address
---@param session integer
function core.unlink(address, session) end

return core
