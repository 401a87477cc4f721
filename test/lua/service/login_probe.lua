-- login_probe.lua: a login server for tests: what a token says decides what happens. Numbers come
-- from the environment of the node, since its helpers are started from this file, too.
local skynet = require("skynet")
local login = require("snax.loginserver")

local conf = {
	host = "127.0.0.1",
	port = 0,
	name = "probe",
	instance = tonumber(skynet.getenv("login_instance") or 2),
	max_handshakes = tonumber(skynet.getenv("login_max_handshakes")),
	multilogin = skynet.getenv("login_multilogin") == "true",
}

local certificate = skynet.getenv("login_certificate")
conf.tls = certificate and { certificate = certificate, key = certificate } or nil

--- A token is "server user", or else it is refused: in one way or the other.
function conf.auth_handler(token)
	if token == "helper" then
		return tostring(skynet.self()), "user" -- tells which helper it is
	elseif token == "nobody" then
		return nil
	elseif token == "wait" then
		skynet.wait("nothing")
	end
	local server, user = token:match("^(%w+) (%w+)$")
	return assert(server, "no such user"), user
end

local command = {}
local logins = {} -- in their order: { server, user, secret }
local waiting = {} -- the tasks of slow logins

--- The user says how the login goes.
function conf.login_handler(server, user, secret)
	logins[#logins + 1] = { server, user, secret }
	if user == "refused" then
		error("not today")
	elseif user == "slow" then
		waiting[#waiting + 1] = {}
		skynet.wait(waiting[#waiting])
	elseif user == "table" then
		return {}
	end
	return #logins
end

function command.logins()
	return logins
end

--- Lets the slow logins go on. Returns how many there were.
function command.go()
	local count = #waiting
	for _, token in ipairs(waiting) do
		skynet.wakeup(token)
	end
	waiting = {}
	return count
end

function command.fail()
	error("as you like")
end

function conf.command_handler(name, ...)
	return command[name](...)
end

login(conf)
