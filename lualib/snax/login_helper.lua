--- The helper services of a login server. Each talks with many clients at once: up to the point
--- where it is known who the client is, and then the last line. What is between, the login itself,
--- is done by the login server, which is the only one to call a helper.
---
---     S -> C   challenge                8 random bytes
---     C -> S   public number            of the client
---     S -> C   public number            of the server: both have the secret now
---     C -> S   hmac64(challenge, secret)
---     C -> S   desencode(secret, token)
---     S -> C   200 subid | 401 Unauthorized | 403 Forbidden | 406 Not Acceptable
---
--- Each is a line, and all but the status is in base64. A client has a limited time for its lines,
--- and a limited size of them. A helper ends with its login server.
local skynet = require("skynet")
local link = require("skynet.link")
local socket = require("skynet.socket")
local crypt = require("skynet.crypt")

local helper = {}

--- More than this unread, in bytes, and the connection ends.
local BUFFER_LIMIT <const> = 8192

local function write_line(id, bytes)
	socket.write(id, crypt.base64encode(bytes) .. "\n")
end

local function read_line(id)
	local line = socket.readline(id, "\n")
	if not line then
		error("the client has left in the middle of the handshake", 0)
	end
	return crypt.base64decode(line)
end

--- Finds out whether the client has the secret, and what it says it is. Raises if it is nobody.
---@return string token
---@return string secret
local function shake_hands(id)
	local challenge = crypt.randomkey()
	write_line(id, challenge)
	local public, private = read_line(id), crypt.randomkey()
	local secret = crypt.dhsecret(public, private)
	write_line(id, crypt.dhexchange(private))
	if not crypt.equals(read_line(id), crypt.hmac64(challenge, secret)) then
		error("the client has failed the challenge", 0)
	end
	return crypt.desdecode(secret, read_line(id)), secret
end

--- shake_hands within a time: the connection ends with it, and so does every wait.
---@return boolean ok
---@return string token or reason
---@return string? secret
local function shake_hands_within(limit, id)
	local is_late = false
	local timer = skynet.timeout(limit, function()
		is_late = true
		socket.shutdown(id)
	end)
	local ok, token, secret = pcall(shake_hands, id)
	skynet.cancel(timer)
	if is_late then
		return false, "the client was too slow"
	end
	return ok, token, secret
end

local function end_with(id, line)
	socket.write(id, line .. "\n")
	socket.close(id)
end

--- Who the client is: server and user, and the secret. Raises if it is nobody.
local function identify(conf, id)
	socket.limit(id, BUFFER_LIMIT)
	socket.nodelay(id) -- else a line may wait for the acknowledgement of the one before
	local ok, token, secret = shake_hands_within(conf.handshake_timeout, id)
	if not ok then
		error(token, 0)
	end
	local server, user = conf.auth_handler(token)
	if server == nil or user == nil then
		error("auth_handler has returned no server, or no user", 0)
	end
	return server, user, secret
end

--- Runs a helper.
---@param conf table that of the login server, complete
---@param login_server integer its address
function helper.start(conf, login_server)
	local command = {}

	--- Takes a new connection over. Returns true, server, user and secret; or false and why
	--- not, and then the connection has ended.
	function command.identify(id)
		local started, reason = socket.start(id)
		if not started then
			return false, reason
		end
		local ok, server, user, secret = pcall(identify, conf, id)
		if not ok then
			end_with(id, "401 Unauthorized")
		end
		return ok, server, user, secret
	end

	command.end_with = end_with
	command.close = socket.close

	link.link(login_server, function()
		skynet.exit()
	end)
	skynet.dispatch("lua", function(_, _, name, ...)
		skynet.retpack(command[name](...))
	end)
end

return helper
