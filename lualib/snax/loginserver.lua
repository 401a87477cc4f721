--- A login server: clients prove to it who they are, and get what they need to talk to a game
--- server. docs/login.md is the manual.
---
--- It is one service that accepts, and that calls login_handler; and some helpers, which are
--- started from the same script, talk with the clients and call auth_handler. A helper recognises
--- that it is one because the name of the login server is taken. A helper that dies is replaced.
---
--- L1  Every connection that was accepted is counted, and is ended: by the helper that has refused
---     it, by the last line, or, whatever happens here, when its task is over.
--- L2  Without multilogin, of each user one login_handler runs at a time.
local skynet = require("skynet")
require("skynet.manager")
local link = require("skynet.link")
local socket = require("skynet.socket")
local crypt = require("skynet.crypt")
local helper = require("snax.login_helper")
local client_log = require("snax.client_log")

local DEFAULTS <const> = {
	host = "0.0.0.0",
	name = "login",
	instance = 8,
	multilogin = false,
	handshake_timeout = 1000,
	max_handshakes = 1024,
}

---@class snax.loginserver.conf
---@field port integer 0: any free one; the log has it
---@field auth_handler fun(token: string): string, string server and user; raises to refuse
---@field login_handler fun(server, user, secret: string): string subid; raises to refuse
---@field command_handler? fun(command: string, ...): ... answers all other "lua" messages
---@field host? string "0.0.0.0"
---@field name? string "login": the service registers ".login"
---@field instance? integer 8: helper services
---@field multilogin? boolean false: refuse a user who is in the middle of a login
---@field handshake_timeout? integer 1000: what a client has for its lines, in cs
---@field max_handshakes? integer 1024: clients that are not yet answered
---@field backlog? integer as of socket.listen
---@field tls? table as of socket.listen

--- A client that has been accepted and not yet answered.
---@class snax.loginserver.client
---@field helper integer who holds the connection
---@field id integer
---@field is_ended boolean

local client_class = {}
local client_count = 0

function client_class.__close(client)
	client_count = client_count - 1
	if not client.is_ended then -- L1: this task was ended, or the helper is
		skynet.send(client.helper, "lua", "close", client.id)
		socket.close_fd(client.id)
	end
end

-- Helpers ---------------------------------------------------------------------------------------

--- Their addresses; new clients go to one after another.
local helpers = {}
local last_helper = 0

local function forget_helper(address)
	for i, helper_address in ipairs(helpers) do
		if helper_address == address then
			table.remove(helpers, i)
			return
		end
	end
end

local function start_helper()
	local helper_address = skynet.newservice_within(false, SERVICE_NAME)
	helpers[#helpers + 1] = helper_address
	link.link(helper_address, function(_, reason)
		skynet.error("a helper of the login server has ended, another starts: " .. reason)
		forget_helper(helper_address)
		start_helper()
	end)
end

--- The next one, or nil while there is none.
local function next_helper()
	last_helper = last_helper < #helpers and last_helper + 1 or 1
	return helpers[last_helper]
end

-- Logging in ------------------------------------------------------------------------------------

--- Users whose login_handler runs.
local is_logging_in = {}

local function login(conf, server, user, secret)
	local _lock <close> = setmetatable({}, {
		__close = function()
			is_logging_in[user] = nil
		end,
	})
	is_logging_in[user] = true
	return crypt.base64encode(conf.login_handler(server, user, secret))
end

--- The last line for a client that is known, and what is to be logged of it.
---@return string line
---@return string? reason
local function admit(conf, server, user, secret)
	if is_logging_in[user] and not conf.multilogin then
		local reason = ("User %s is already login"):format(user)
		return "406 Not Acceptable", reason
	end
	local ok, subid = pcall(login, conf, server, user, secret)
	if not ok then
		return "403 Forbidden", tostring(subid)
	end
	return "200 " .. subid
end

local function log_failure(client, reason)
	client_log("invalid client (fd = %d) error = %s", client.id, tostring(reason))
end

--- From the first line to the last.
local function serve(conf, client)
	local function call(...) -- the client's time is for the helper to limit
		return pcall(skynet.call_within, false, client.helper, "lua", ...)
	end
	local ok, is_known, server, user, secret = call("identify", client.id)
	client.is_ended = ok and not is_known
	if not ok or not is_known then
		log_failure(client, ok and server or is_known)
		return
	end
	local line, reason = admit(conf, server, user, secret)
	if reason then
		log_failure(client, reason)
	end
	client.is_ended = call("end_with", client.id, line)
end

local function accept(conf, id, address)
	local helper_address = next_helper()
	if client_count >= conf.max_handshakes or not helper_address then
		local why = helper_address and "too many clients log in at once"
			or "there is no helper"
		client_log("%s (%d): %s", why, client_count, address)
		socket.close_fd(id)
		return
	end
	client_count = client_count + 1
	local client <close> = setmetatable({
		helper = helper_address,
		id = id,
		is_ended = false,
	}, client_class)
	client_log("connect from %s (fd = %d)", address, id)
	serve(conf, client)
end

-- The service -----------------------------------------------------------------------------------

local function start_server(conf)
	local name = "." .. conf.name
	skynet.register(name)
	if skynet.localname(name) ~= skynet.self() then
		error("the name " .. name .. " of this login server is taken", 0)
	end
	skynet.dispatch("lua", function(_, _, command, ...)
		if not conf.command_handler then
			error("this login server has no command_handler", 0)
		end
		skynet.retpack(conf.command_handler(command, ...))
	end)
	for _ = 1, conf.instance do
		start_helper()
	end
	local options = conf.tls and { tls = conf.tls } or nil
	local listener, host, port = socket.listen(conf.host, conf.port, conf.backlog, options)
	skynet.error(("login server listen at : %s %d"):format(host, port))
	socket.start(listener, function(id, address)
		accept(conf, id, address)
	end)
end

-- The arguments ---------------------------------------------------------------------------------

local KINDS <const> = {
	host = "string",
	name = "string",
	auth_handler = "function",
	login_handler = "function",
	command_handler = "function",
	multilogin = "boolean",
	tls = "table",
}
local OPTIONAL <const> = { command_handler = true, tls = true, backlog = true }
--- Numbers, and the least of each.
local LEAST <const> = {
	port = 0,
	instance = 1,
	handshake_timeout = 1,
	max_handshakes = 1,
	backlog = 0,
}

local function check_kind(key, kind, value)
	if type(value) ~= kind and not (value == nil and OPTIONAL[key]) then
		error(("bad field '%s': %s expected, got %s"):format(key, kind, type(value)), 4)
	end
end

--- A number, which may be a text of one, as what comes from the environment is.
local function check_number(key, least, value)
	local number = math.tointeger(tonumber(value))
	if number and number >= least then
		return number
	elseif value ~= nil or not OPTIONAL[key] then
		local text = "bad field '%s': a whole number from %d expected, got %s"
		error(text:format(key, least, tostring(value)), 4)
	end
end

--- The configuration with all that was left out. Raises for what is wrong in it.
local function complete(conf)
	if type(conf) ~= "table" then
		error(("bad argument 'conf': table expected, got %s"):format(type(conf)), 3)
	end
	local result = setmetatable({}, { __index = DEFAULTS })
	for key, value in pairs(conf) do
		result[key] = value
	end
	for key, kind in pairs(KINDS) do
		check_kind(key, kind, result[key])
	end
	for key, least in pairs(LEAST) do
		result[key] = check_number(key, least, result[key])
	end
	return result
end

--- Makes the service a login server, or one of its helpers. In the main chunk.
---@param conf snax.loginserver.conf
local function loginserver(conf)
	local full = complete(conf)
	skynet.start(function()
		local login_server = skynet.localname("." .. full.name)
		if login_server then
			helper.start(full, login_server)
		else
			start_server(full)
		end
	end)
end

return loginserver
