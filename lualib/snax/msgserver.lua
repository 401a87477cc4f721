--- A game server behind a login server: its users are known by name and secret, send requests and
--- get responses, and may lose their connection and come back. docs/login.md is the manual.
---
---     C -> S   username:index:base64(hmac_hash(secret, "username:index"))
---     S -> C   200 OK, or 400 Bad Request, 401 Unauthorized, 403 Index Expired, 404 User Not Found
---     C -> S   content, 4 bytes session
---     S -> C   content, 1 byte 1 (ok) or 0 (failed), 4 bytes session
---
--- M1  A user has one connection at most. A later one, with a higher index, takes its place.
--- M2  A request with a session that was used on an earlier connection is not handled again: it
---     gets the response of the former one, at once or when that is there. So each request on a
---     connection is answered once; what nobody asks for again is not sent.
--- M3  Of each user so many requests are under way at most, and so many responses are kept.
--- M4  A connection that does not say who it is within a time ends.
local skynet = require("skynet")
local driver = require("skynet.socketdriver")
local gateserver = require("snax.gateserver")
local crypt = require("skynet.crypt")
local client_log = require("snax.client_log")
local replies = require("snax.msgserver_replies")

local msgserver = {}

local DEFAULTS <const> = {
	expired_number = 128,
	handshake_timeout = 1000,
	max_pending = 1024,
}

---@class snax.msgserver.conf
---@field login_handler fun(uid, secret: string): string subid; answers the command "login"
---@field logout_handler fun(uid, subid) answers the command "logout"
---@field kick_handler fun(uid, subid) answers the command "kick"
---@field request_handler fun(username: string, content: string): string raises to fail
---@field register_handler? fun(servername: string) when the gate has been opened
---@field disconnect_handler? fun(username: string) a user has lost its connection
---@field expired_number? integer 128: so many to twice as many responses are kept of a user
---@field handshake_timeout? integer 1000: what a connection has for its first packet, in cs
---@field max_pending? integer 1024: requests of a user that are under way

--- Somebody who is logged in.
---@class snax.msgserver.user
---@field username string
---@field secret string
---@field index number that of the last connection
---@field id integer? its connection, if it has one
---@field ip string? where that comes from
---@field replies snax.msgserver.replies

---@type table<string, snax.msgserver.user>
local users = {}
--- By connection. M1: users[...].id and this agree.
---@type table<integer, snax.msgserver.user>
local user_of = {}
--- Connections that have not said who they are: { address, timer }.
local strangers = {}

-- Users -----------------------------------------------------------------------------------------

--- Raises in the name of whoever has called the library's function, unless the value is a text, or
--- a number where that will do.
local function check_text(name, value, may_be_number)
	local kind = type(value)
	if kind ~= "string" and not (may_be_number and kind == "number") then
		error(("bad argument '%s': string expected, got %s"):format(name, kind), 3)
	end
end

--- The name of a user in the protocol.
---@param uid string|integer
---@param subid string|integer what the login was answered with
---@param server string
---@return string username
function msgserver.username(uid, subid, server)
	check_text("uid", uid, true)
	check_text("subid", subid, true)
	check_text("server", server, true)
	local encode <const> = crypt.base64encode
	return ("%s@%s#%s"):format(encode(uid), encode(server), encode(tostring(subid)))
end

local function decode_all(uid, subid, server)
	local decode <const> = crypt.base64decode
	return decode(uid), decode(subid), decode(server)
end

--- What the name of a user is made of.
---@param username string
---@return string uid
---@return string subid
---@return string server
function msgserver.userid(username)
	check_text("username", username)
	local uid, server, subid = username:match("^([^@]*)@([^#]*)#(.*)$")
	local decoded = uid and { pcall(decode_all, uid, subid, server) }
	if not decoded or not decoded[1] then
		error(("bad argument 'username': %q is not the name of a user"):format(username), 2)
	end
	return table.unpack(decoded, 2)
end

--- Lets a user in, who can connect from now on.
---@param username string
---@param secret string 8 bytes
function msgserver.login(username, secret)
	check_text("username", username)
	if users[username] then
		error(("user %s is logged in already"):format(username), 2)
	elseif type(secret) ~= "string" or #secret ~= 8 then
		error("bad argument 'secret': 8 bytes expected", 2)
	end
	users[username] = {
		username = username,
		secret = secret,
		index = 0,
		replies = replies.new(msgserver.expired_number, msgserver.max_pending),
	}
end

--- Takes the connection away from its user, if it has one.
local function detach(user)
	if user.id then
		user_of[user.id] = nil
		gateserver.closeclient(user.id)
		user.id, user.ip = nil, nil
	end
end

--- Ends a user's stay, and its connection. Of somebody unknown: nothing.
---@param username string
function msgserver.logout(username)
	check_text("username", username)
	local user = users[username]
	if user then
		users[username] = nil
		detach(user)
	end
end

--- Where the user is connected from.
---@param username string
---@return string? address "ip:port", nil when it is not connected
function msgserver.ip(username)
	check_text("username", username)
	local user = users[username]
	return user and user.ip
end

-- The first packet ------------------------------------------------------------------------------

local function send(id, packet)
	driver.send(id, (">s2"):pack(packet))
end

--- The user that a first packet is of, and the index in it. Raises if it is no such packet.
---@return snax.msgserver.user? user nil: refused
---@return number|string result the index, or the status
local function recognise(packet)
	local username, index, signature = packet:match("^([^:]*):([^:]*):([^:]*)$")
	local number = tonumber(index)
	if not number then
		return nil, "400 Bad Request"
	end
	local user = users[username]
	if not user then
		return nil, "404 User Not Found"
	end
	local expected = crypt.hmac_hash(user.secret, username .. ":" .. index)
	if not crypt.equals(crypt.base64decode(signature), expected) then
		return nil, "401 Unauthorized"
	elseif number <= user.index then
		return nil, "403 Index Expired"
	end
	return user, number
end

local function attach(user, id, stranger, index)
	detach(user) -- M1
	user.id, user.ip, user.index = id, stranger.address, index
	user_of[id] = user
end

local function greet(id, packet)
	local stranger = strangers[id]
	strangers[id] = nil
	skynet.cancel(stranger.timer)
	local ok, user, result = pcall(recognise, packet)
	if ok and user then
		attach(user, id, stranger, result)
		send(id, "200 OK")
		return
	end
	local status = ok and result or "400 Bad Request"
	client_log("invalid client (fd = %d) error = %s: %s", id, stranger.address, status)
	send(id, status)
	gateserver.closeclient(id)
end

-- Requests --------------------------------------------------------------------------------------

--- A response must fit into a packet, together with its status and session.
local RESPONSE_MAX <const> = 65535 - 5

--- What a request is answered with.
local function respond(request_handler, username, content, session)
	local ok, response = pcall(request_handler, username, content)
	if not ok then
		skynet.error(("request_handler for %s: %s"):format(username, response))
	elseif type(response) ~= "string" or #response > RESPONSE_MAX then
		local what = type(response) == "string" and #response .. " bytes" or type(response)
		local text = "request_handler for %s: a text of at most %d bytes expected, got %s"
		skynet.error(text:format(username, RESPONSE_MAX, what))
		ok = false
	end
	return (">s2"):pack((ok and response or "") .. (ok and "\1" or "\0") .. session)
end

--- The user has lost its connection, but is still logged in.
local function lose(conf, user)
	detach(user)
	if conf.disconnect_handler then
		conf.disconnect_handler(user.username)
	end
end

local function refuse(conf, user, id, reason)
	client_log("invalid client (fd = %d) error = %s: %s", id, user.username, reason)
	lose(conf, user)
end

local function request(conf, user, id, packet)
	if #packet < 4 then
		return refuse(conf, user, id, "a request without session")
	end
	local content, session = packet:sub(1, -5), packet:sub(-4)
	local reply, reason = user.replies:begin(session, user.index)
	if not reply then
		return refuse(conf, user, id, reason)
	end
	if not reply.packet and not reply.is_running then
		reply.is_running = true
		local response = respond(conf.request_handler, user.username, content, session)
		user.replies:finish(reply, response)
	end
	-- M2: to the connection that has asked last, if the user still has that.
	if reply.packet and user.id and reply.connection == user.index then
		driver.send(user.id, reply.packet)
	end
end

-- The gate --------------------------------------------------------------------------------------

local handler = {}

local function end_stranger(id)
	local stranger = strangers[id]
	strangers[id] = nil
	client_log("invalid client (fd = %d) error = %s: says nothing", id, stranger.address)
	gateserver.closeclient(id)
end

--- The handler for snax.gateserver.
local function make_handler(conf)
	function handler.open(_, gate_conf)
		if (gate_conf.framing or "u16be") ~= "u16be" then
			local text = "the framing of a msgserver is u16be, not %s"
			error(text:format(tostring(gate_conf.framing)), 0)
		elseif conf.register_handler then
			return conf.register_handler(gate_conf.servername)
		end
	end

	function handler.connect(id, address)
		strangers[id] = {
			address = address,
			timer = skynet.timeout(conf.handshake_timeout, function() -- M4
				end_stranger(id)
			end),
		}
		gateserver.openclient(id)
	end

	function handler.message(id, data, size)
		local packet = skynet.tostring(data, size) or ""
		skynet.trash(data, size)
		if strangers[id] then
			greet(id, packet)
		elseif user_of[id] then
			request(conf, user_of[id], id, packet)
		end -- else what came before it was told that it is over
	end

	function handler.disconnect(id)
		local stranger, user = strangers[id], user_of[id]
		if stranger then
			strangers[id] = nil
			skynet.cancel(stranger.timer)
			gateserver.closeclient(id)
		elseif user then
			lose(conf, user)
		end
	end

	handler.error = handler.disconnect

	function handler.command(name, _, ...)
		if name ~= "login" and name ~= "logout" and name ~= "kick" then
			error(("msgserver: no command %q"):format(tostring(name)), 0)
		end
		return conf[name .. "_handler"](...)
	end

	return handler
end

-- The arguments ---------------------------------------------------------------------------------

local HANDLERS <const> = {
	login_handler = true,
	logout_handler = true,
	kick_handler = true,
	request_handler = true,
	register_handler = false,
	disconnect_handler = false,
}

--- The configuration with all that was left out. Raises for what is wrong in it.
local function complete(conf)
	if type(conf) ~= "table" then
		error(("bad argument 'conf': table expected, got %s"):format(type(conf)), 3)
	end
	for key, is_needed in pairs(HANDLERS) do
		local kind = type(conf[key])
		if kind ~= "function" and (is_needed or kind ~= "nil") then
			error(("bad field '%s': function expected, got %s"):format(key, kind), 3)
		end
	end
	local result = setmetatable({}, { __index = conf })
	for key, default in pairs(DEFAULTS) do
		local value = conf[key] == nil and default or conf[key]
		if math.type(value) ~= "integer" or value < 1 then
			local text = "bad field '%s': a whole number from 1 expected, got %s"
			error(text:format(key, tostring(value)), 3)
		end
		result[key] = value
	end
	return result
end

--- Makes the service a game server: a gate, to be opened with the command "open". In the main
--- chunk.
---@param conf snax.msgserver.conf
function msgserver.start(conf)
	local full = complete(conf)
	msgserver.expired_number, msgserver.max_pending = full.expired_number, full.max_pending
	gateserver.start(make_handler(full))
end

return msgserver
