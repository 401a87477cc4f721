---@meta skynet.socketdriver
-- Declarations of `require "skynet.socketdriver"`: sockets of a Lua service, at the lowest level.
--
-- Nothing here waits. What happens to a socket comes as a message of type PTYPE_SOCKET, which
-- `unpack` takes apart; docs/sockets.md has the meaning of each. A socket is a positive number.
-- luacheck: ignore 212

---@class skynet.socketdriver
local socketdriver = {}

--- Connects; a message CONNECT (2) or ERROR (5) follows.
---@param host string an address or a name; without port: "host:port" or "[v6]:port"
---@param port? integer 1..65535
---@return integer? id nil: the log says why
function socketdriver.connect(host, port) end

--- Listens. A message CONNECT (2) with the port follows; accepting begins with start. Raises when
--- the address can't be had.
---@param host string
---@param port? integer 0: any free one
---@param backlog? integer connections that may wait; 0: as many as the system allows
---@return integer id
function socketdriver.listen(host, port, backlog) end

--- Adopts a descriptor of the operating system, which is never closed here.
---@param fd integer
---@return integer? id
function socketdriver.bind(fd) end

--- Makes this service the owner, and begins to read, or to accept.
---@param id integer
function socketdriver.start(id) end

--- Stops reading until start.
---@param id integer
function socketdriver.pause(id) end

--- Sends what waits, then closes.
---@param id integer
function socketdriver.close(id) end

--- Closes at once; what waits to be sent is lost.
---@param id integer
function socketdriver.shutdown(id) end

--- Sends small pieces without delay (TCP_NODELAY).
---@param id integer
function socketdriver.nodelay(id) end

--- Sends bytes: a text or userdata is copied, the texts of a table are joined, a block is taken.
---@param id integer
---@param data string|string[]|userdata|lightuserdata
---@param size? integer of a block
---@return boolean sent false: no such socket, it is closing, or too much waits already
function socketdriver.send(id, data, size) end

--- The same, behind all that send sends.
---@param id integer
---@param data string|string[]|userdata|lightuserdata
---@param size? integer
---@return boolean sent
function socketdriver.lsend(id, data, size) end

--- Takes a socket message apart.
---@param data lightuserdata
---@param size integer
---@return integer type 1 DATA, 2 CONNECT, 3 CLOSE, 4 ACCEPT, 5 ERROR, 6 UDP, 7 WARNING
---@return integer id
---@return integer number DATA, UDP: bytes; ACCEPT: the new socket; listening: the port; WARNING: KB
---@return string|lightuserdata text DATA, UDP: a block, to be freed with drop; others: a text
---@return string? address UDP: who sent it
function socketdriver.unpack(data, size) end

--- A copy of a text as a block.
---@param text string
---@return lightuserdata block given
---@return integer size
function socketdriver.str2p(text) end

--- Frees a block.
---@param block lightuserdata
---@param size? integer
function socketdriver.drop(block, size) end

--- Reads a number of 1 to 4 bytes, big-endian.
---@param text string
---@return integer
function socketdriver.header(text) end

return socketdriver
