-- gated.lua LOGIN_SERVER: the game server. Each user that the login server sends has an agent,
-- which answers its requests, whether it is connected at the moment or not.
local skynet = require("skynet")
local msgserver = require("snax.msgserver")

local login_server = assert(math.tointeger(tonumber((...))), "usage: gated LOGIN_SERVER")

local server_name
local last_subid = 0
-- Users who are logged in, by the two names they have: { user, subid, username, agent }.
local by_user, by_username = {}, {}

local conf = {}

function conf.register_handler(name)
	server_name = name
	skynet.call(login_server, "lua", "register_gate", name, skynet.self())
end

-- From the login server, which does this once at a time for a user: it may come. Returns its subid.
function conf.login_handler(user, secret)
	assert(not by_user[user], "the user is logged in already")
	last_subid = last_subid + 1
	local subid = tostring(last_subid)
	local username = msgserver.username(user, subid, server_name)
	local agent = skynet.newservice("msgagent")
	skynet.call(agent, "lua", "login", skynet.self(), user, subid)
	local entry = { user = user, subid = subid, username = username, agent = agent }
	by_user[user], by_username[username] = entry, entry
	msgserver.login(username, secret)
	return subid
end

-- From the agent: the user leaves, and so does the agent.
function conf.logout_handler(user, subid)
	local entry = by_user[user]
	if entry and entry.subid == subid then
		msgserver.logout(entry.username)
		by_user[user], by_username[entry.username] = nil, nil
		skynet.call(login_server, "lua", "logout", user, subid)
	end
end

-- From the login server: the user logs in again. Returns when the former login is over.
function conf.kick_handler(user, subid)
	local entry = by_user[user]
	if entry and entry.subid == subid then
		-- The agent calls logout_handler; if it is gone already, nobody does.
		if not pcall(skynet.call, entry.agent, "lua", "logout") then
			conf.logout_handler(user, subid)
		end
	end
end

function conf.disconnect_handler(username)
	local entry = by_username[username]
	if entry then
		skynet.send(entry.agent, "lua", "afk")
	end
end

function conf.request_handler(username, content)
	local entry = assert(by_username[username], "the user has left")
	return skynet.call(entry.agent, "lua", "request", content)
end

msgserver.start(conf)
