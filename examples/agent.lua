-- agent.lua CLIENT GATE ID: serves one connection: hands each line to the database, and the answer
-- to the client. CLIENT: the service that writes to the connection. GATE, ID: who reads it, under
-- which id.
--
-- Requests of one client are under way together, and are answered in their order, since the
-- database answers in order. When too many are, the gate is asked to read no more until there are
-- fewer: so a client that asks faster than the database answers costs a bounded amount of memory.
local skynet = require("skynet")

local client, gate, id = ...

local PAUSE_AT <const> = 256
local RESUME_AT <const> = 64
-- How long an ended client's requests may still take, in 1/100 s.
local FINISH_LIMIT <const> = 2500

local database
local pending = 0
local is_paused = false
local answer_finish -- answers the watchdog's "finish", once it has asked

local function as_it_is(text)
	return text
end

skynet.register_protocol({
	name = "text",
	id = skynet.PTYPE_TEXT,
	pack = as_it_is,
	unpack = skynet.tostring,
})
skynet.register_protocol({
	name = "client",
	id = skynet.PTYPE_CLIENT,
	pack = as_it_is,
	unpack = skynet.tostring,
})

local function begin_request()
	pending = pending + 1
	if pending >= PAUSE_AT and not is_paused then
		is_paused = true
		skynet.send(gate, "text", "pause " .. id)
	end
end

local function finish()
	answer_finish(true)
	skynet.exit()
end

local function end_request()
	pending = pending - 1
	if answer_finish and pending == 0 then
		finish()
	elseif pending <= RESUME_AT and is_paused then
		is_paused = false
		skynet.send(gate, "text", "start " .. id)
	end
end

-- A line from the client.
local function serve(_, _, line)
	skynet.ignoreret() -- the session is the connection's id; the answer goes its own way
	begin_request()
	local ok, answer = pcall(skynet.call, database, "text", line)
	skynet.send(client, "client", ok and (answer or "") or "The database is not available")
	end_request()
end

local command = {}

-- Answers once everything asked so far is answered, then ends this service.
function command.finish()
	answer_finish = skynet.response()
	if pending == 0 then
		finish()
	else
		skynet.timeout(FINISH_LIMIT, finish)
	end
end

skynet.start(function()
	database = assert(skynet.localname(".simpledb"), "start the service simpledb first")
	skynet.dispatch("client", serve)
	skynet.dispatch("lua", function(_, _, name, ...)
		local run = command[name]
		if not run then
			error("agent: no command " .. tostring(name))
		end
		run(...)
	end)
	skynet.send(client, "client", "Welcome to skynet")
end)
