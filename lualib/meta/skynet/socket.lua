---@meta skynet.socket
-- Declarations of the functions of `require "skynet.socket"` that are written in C; the others are
-- in lualib/skynet/socket.lua. docs/lua-sockets.md explains them.
--
-- "Waits" means: the task is suspended, unless what it wants is there already. Then, where
-- socket.timeout has set a time and it is over: nil, "timeout".
-- luacheck: ignore 212

---@class skynet.socket
local socket = {}

-- Reading --------------------------------------------------------------------------------------

--- Reads n bytes, or at least one: all that has come. Waits. False when the stream ends before.
---@param id integer
---@param n? integer
---@return string|false|nil bytes
---@return string? rest behind false: the bytes that are left; behind nil: "timeout"
function socket.read(id, n) end

--- Reads up to the separator, which is dropped. Waits. False when the stream ends before.
---@param id integer
---@param separator? string default: "\n"
---@return string|false|nil line
---@return string? rest behind false: the bytes that are left; behind nil: "timeout"
function socket.readline(id, separator) end

--- Reads up to the end of the stream. Waits. After the end: false, if nothing is left.
---@param id integer
---@return string|false|nil bytes
---@return string? reason behind nil: "timeout"; behind false: "" when it was more than the limit
function socket.readall(id) end

--- Waits until there is something to read.
---@param id integer
---@return boolean|nil is_readable false: the stream has ended
---@return string? reason behind nil: "timeout"
function socket.block(id) end

--- How long each read from now on waits.
---@param id integer
---@param cs? integer|false hundredths of a second; false or nothing: for ever
function socket.timeout(id, cs) end

--- How much may come while nobody waits for a number of bytes. More closes the socket.
---@param id integer
---@param bytes integer default: 64 MiB
function socket.limit(id, bytes) end

--- Reads nothing more until a task does.
---@param id integer not held here: nothing happens
function socket.pause(id) end

-- State ----------------------------------------------------------------------------------------

--- Whether this service does not hold the socket.
---@param id integer
---@return boolean
function socket.invalid(id) end

--- Whether the peer has ended the connection, or it has failed; nil: this service does not hold it.
---@param id integer
---@return boolean?
---@return string? failure the error that has ended it
function socket.disconnected(id) end

--- All sockets of the node.
---@return table[]
function socket.netstat() end

-- Writing --------------------------------------------------------------------------------------

--- Sends.
---@param id integer
---@param data string|string[]|lightuserdata|userdata a list is joined; a block is handed over
---@param size? integer of a block
---@return boolean is_sent false: no such socket, or it sends no more
function socket.write(id, data, size) end

--- Sends when nothing else waits to be sent.
---@param id integer
---@param data string|string[]|lightuserdata|userdata
---@param size? integer of a block
---@return boolean is_sent
function socket.lwrite(id, data, size) end

--- Sends the same to many, and keeps it once.
---@param ids integer[]
---@param data string|string[]|lightuserdata|userdata
---@param size? integer of a block
---@return integer count how many sockets have taken it
function socket.broadcast(ids, data, size) end

--- Sends without waiting for more to send with it.
---@param id integer
function socket.nodelay(id) end

--- Ends a connection at once. It is still to be closed.
---@param id integer not held here: nothing happens
function socket.shutdown(id) end

-- UDP ------------------------------------------------------------------------------------------

--- Sends a datagram.
---@param id integer
---@param address string a peer, as the socket's function got it
---@param data string
---@return boolean is_sent
function socket.sendto(id, address, data) end

--- Where a datagram came from.
---@param address string
---@return string ip
---@return integer port
function socket.udp_address(address) end

-- Small things ---------------------------------------------------------------------------------

--- Reads 1 to 4 bytes as a number, the high byte first.
---@param bytes string
---@return integer
function socket.header(bytes) end

--- Finds the addresses of a number, of localhost, or of a name in the hosts file. Raises for
--- others.
---@param host string
---@return string[] addresses
function socket.resolve(host) end

return socket
