---@meta client.socket
-- Declarations of `require "client.socket"`: TCP for plain Lua programs. Not for services: where it
-- waits, the whole program does.
-- luacheck: ignore 212

---@class client.socket
local socket = {}

--- Connects, and tries each address that the name has. Waits. Raises, with the reason.
---@param host string
---@param port integer
---@return integer fd
function socket.connect(host, port) end

--- Sends all bytes. Waits until the system has taken them. Raises when the connection is broken.
---@param fd integer
---@param bytes string
function socket.send(fd, bytes) end

--- What has come. Does not wait. Raises when the connection is broken.
---@param fd integer
---@return string? bytes "" when the stream has ended, nil when there is nothing yet
function socket.recv(fd) end

--- Closes the connection.
---@param fd integer
function socket.close(fd) end

--- Ends one direction of the connection, or both.
---@param fd integer
---@param mode "r"|"w"|"rw"
function socket.shutdown(fd, mode) end

--- Sleeps.
---@param us integer microseconds
function socket.usleep(us) end

--- A line of standard input, without its end. Does not wait. At the end of the input the program
--- ends, with status 1. A line over 64 KiB comes in pieces. Do not mix it with io.read.
---@return string? line nil when there is none yet
function socket.readstdin() end

return socket
