-- logind.lua: the login server. Everybody whose password is "password" is let in, to the game
-- server they ask for. A user who is logged in already is logged out first.
local skynet = require("skynet")
local crypt = require("skynet.crypt")
local login = require("snax.loginserver")

local conf = {
	host = skynet.getenv("login_host"),
	port = skynet.getenv("login_port"),
	name = "login_master",
	multilogin = false,
}

-- Game servers by name, and the users that are on them: { game_server, server, subid }.
local game_servers = {}
local users = {}

-- A token is base64(user)@base64(server):base64(password).
function conf.auth_handler(token)
	local user, server, password = token:match("^([^@]+)@([^:]+):(.+)$")
	assert(user, "this is no token")
	user, server = crypt.base64decode(user), crypt.base64decode(server)
	assert(crypt.base64decode(password) == "password", "wrong password")
	return server, user
end

function conf.login_handler(server, user, secret)
	local game_server = assert(game_servers[server], "there is no such game server")
	local last = users[user]
	if last then
		skynet.call(last.game_server, "lua", "kick", user, last.subid)
	end
	assert(not users[user], "the user is still logged in elsewhere")
	local subid = skynet.call(game_server, "lua", "login", user, secret)
	users[user] = { game_server = game_server, server = server, subid = subid }
	skynet.error(("%s@%s is login, secret is %s"):format(user, server, crypt.hexencode(secret)))
	return subid
end

local command = {}

-- A game server tells how it is called and where it is.
function command.register_gate(server, address)
	game_servers[server] = address
end

-- A game server tells that a user has left.
function command.logout(user, subid)
	local entry = users[user]
	if entry and entry.subid == subid then
		skynet.error(("%s@%s is logout"):format(user, entry.server))
		users[user] = nil
	end
end

function conf.command_handler(name, ...)
	local f = assert(command[name], "logind has no such command")
	return f(...)
end

login(conf)
