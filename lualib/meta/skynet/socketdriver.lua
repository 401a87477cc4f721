---@meta skynet.socketdriver
-- Declarations of `require "skynet.socketdriver"`: sockets of a Lua service, at the lowest level.
--
-- Nothing here waits. What happens to a socket comes as a message of type PTYPE_SOCKET, which
-- `unpack` takes apart; docs/sockets.md has the meaning of each. A socket is a positive number.
-- luacheck: ignore 212

--- How TLS is spoken; docs/tls.md tells more. Files are in PEM form.
---@class skynet.tls
---@field certificate? string|string[] file: ours, with its chain; several: the client chooses
---@field key? string|string[] file: its key; without: in the certificate's file
---@field authorities? string file or folder: whom to trust; without: whom the system trusts
---@field verify? boolean|"optional" whether the peer has to prove who it is
---@field server_name? string connect: who it must be; without: the host
---@field alpn? string|string[] names of protocols, the best one first
---@field minimum_version? "1.2"|"1.3"
---@field ciphers? string of TLS 1.2, in OpenSSL's notation
---@field ciphersuites? string of TLS 1.3, in OpenSSL's notation

---@class skynet.socketdriver
local socketdriver = {}

--- Connects; a message CONNECT (2) or ERROR (5) follows.
---@param host string an address, a name, "unix:/path" or "unix:@name"; without port: "host:port" or
--- "[v6]:port"
---@param port? integer 1..65535
---@param options? { tls?: boolean|skynet.tls } tls: the connection speaks TLS; CONNECT follows
--- the handshake
---@return integer? id nil: the log says why
function socketdriver.connect(host, port, options) end

--- Listens. A message CONNECT (2) with the port follows; accepting begins with start. Raises when
--- the address can't be had.
---@param host string as for connect; a name must be one of the hosts file
---@param port? integer 0: any free one
---@param backlog? integer means nothing: as many may wait to be accepted as the system allows
---@param options? { shares_port?: boolean, tls?: skynet.tls } shares_port: others who say so too
--- may listen there; tls: those who come speak TLS
---@return integer id
function socketdriver.listen(host, port, backlog, options) end

--- Goes on in TLS on a connection that is open, or was accepted. What was sent before leaves first.
--- A message CONNECT (2) with the text "secure", or ERROR (5) and CLOSE (3), follows.
---@param id integer
---@param role "client"|"server" in the handshake
---@param tls? boolean|skynet.tls a client needs server_name, or verify = false
---@return boolean begun false: the log says why
function socketdriver.secure(id, role, tls) end

---@class skynet.tls_info
---@field version string such as "TLSv1.3"
---@field cipher string OpenSSL's name
---@field alpn? string the protocol that was agreed on
---@field server_name? string whom the client asked for
---@field subject? string of the peer's certificate (RFC 2253)
---@field problem? string why that proves nothing, if verify let it pass
---@field verified boolean the peer has proved who it is

--- What a TLS connection has agreed on.
---@param id integer
---@return skynet.tls_info? info nil: no such socket, or its handshake is not over
function socketdriver.tls_info(id) end

--- Reads the files of all TLS options in use again, for the connections to come, as SIGHUP does.
---@return integer failed so many options keep what they had; the log says why
function socketdriver.tls_reload() end

--- Adopts a descriptor of the operating system, which is never closed here.
---@param fd integer
---@return integer? id
function socketdriver.bind(fd) end

--- Watches a descriptor that a library has opened, for its readiness only.
---@param descriptor integer
---@return integer? id nil: the log says why
function socketdriver.watch(descriptor) end

--- Asks for one message READY (8), as soon as a watched descriptor is ready for it.
---@param id integer
---@param what integer 1 readable, 2 writable, 3 both; 0: nothing more
---@return boolean done false: no such socket
function socketdriver.rearm(id, what) end

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

--- Sends bytes: a text or userdata is copied, the texts of a table are joined, a block is taken,
--- what share has made is shared.
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

--- Copies bytes once, to be sent to many.
---@param data string|string[]|userdata|lightuserdata as for send
---@param size? integer of a block
---@return userdata shared what send and broadcast take
function socketdriver.share(data, size) end

--- Sends the same bytes to many sockets, without a copy for each.
---@param ids integer[]
---@param data string|string[]|userdata|lightuserdata as for send
---@param size? integer of a block
---@return integer count how many sockets have taken it
function socketdriver.broadcast(ids, data, size) end

--- Opens a UDP socket. Raises when it can't.
---@param host? string a local address to bind it to
---@param port? integer 0: any free one
---@return integer id
function socketdriver.udp(host, port) end

--- Opens a UDP socket that is bound to an address. Raises when it can't.
---@param host string
---@param port? integer not 0
---@return integer id
function socketdriver.udp_listen(host, port) end

--- Opens a UDP socket with a default peer. Raises when it can't.
---@param host string
---@param port? integer
---@return integer id
function socketdriver.udp_dial(host, port) end

--- Sets the default peer of a UDP socket. Raises when it can't.
---@param id integer
---@param host string
---@param port? integer
function socketdriver.udp_connect(id, host, port) end

--- Sends a datagram.
---@param id integer
---@param address string? as a message UDP (6) has it; nil: to the default peer
---@param data string|string[]|userdata|lightuserdata as for send
---@param size? integer of a block
---@return boolean sent false: it was dropped
function socketdriver.udp_send(id, address, data, size) end

--- Takes the address of a datagram apart.
---@param address string
---@return string ip
---@return integer port
function socketdriver.udp_address(address) end

--- Makes a buffer: bytes come in chunks, and are read as somebody asks for them. `#` tells its
--- size. The functions below take a second argument, a table, as they did of old; nothing is kept
--- there.
---@return userdata buffer
function socketdriver.buffer() end

--- Adds a block.
---@param buffer userdata
---@param pool? table
---@param block lightuserdata taken
---@param size integer
---@return integer total how many bytes wait
function socketdriver.push(buffer, pool, block, size) end

--- Reads exactly so many bytes.
---@param buffer userdata
---@param pool? table
---@param count integer
---@return string? bytes nil: there are not so many
---@return integer total how many wait now
function socketdriver.pop(buffer, pool, count) end

--- Reads a line, without its separator. Without a pool, only tells whether there is one.
---@param buffer userdata
---@param pool? table
---@param separator string
---@return string|boolean|nil line nil: it is not complete
function socketdriver.readline(buffer, pool, separator) end

--- Reads everything.
---@param buffer userdata
---@param pool? table
---@return string bytes
function socketdriver.readall(buffer, pool) end

--- Drops everything.
---@param buffer userdata?
---@param pool? table
function socketdriver.clear(buffer, pool) end

--- Takes a socket message apart.
---@param data lightuserdata
---@param size integer
---@return integer type 1 DATA, 2 CONNECT, 3 CLOSE, 4 ACCEPT, 5 ERROR, 6 UDP, 7 WARNING, 8 READY
---@return integer id
---@return integer number DATA, UDP: bytes; ACCEPT: the new socket; listening: the port; WARNING:
--- KB; READY: 1 readable, 2 writable, 4 hung up, added
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

--- Lists all sockets of the node.
---@return table[] sockets docs/sockets.md has their fields
function socketdriver.info() end

--- Finds the addresses of a host as far as nobody has to be asked: a number, localhost, or a name
--- of the hosts file. Raises for others: skynet.dns asks the network.
---@param host string
---@return string[] ips
function socketdriver.resolve(host) end

return socketdriver
