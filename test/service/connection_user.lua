-- connection_user.lua: passes the lines of its clients on to the service `connection`, and is told
-- what comes. Config keys: user_port; user_fifo: the FIFO of a receiver that is stuck. Lines:
--   TEXT          a command for it; "ME" in it stands for this service, "STUCK" for the stuck one
--   HARBOR TEXT   a command for the harbor of this node, a puppet (test/service-src/fake_harbor.c);
--                 answered with "ok probe N", the probes that its answer tells of
-- The answer is "ok" or the error. What comes is logged: "got TEXT", "got N bytes" or "ended".
local skynet = require("skynet")
require("skynet.manager")
local socket = require("skynet.socket")

local LOGGED_BYTES <const> = 100

skynet.register_protocol({
	name = "text",
	id = skynet.PTYPE_TEXT,
	pack = function(text) return text end,
	unpack = skynet.tostring,
})

skynet.register_protocol({
	name = "client",
	id = skynet.PTYPE_CLIENT,
	unpack = skynet.tostring,
	dispatch = function(session, _, data)
		assert(session == 0)
		if data == "" then
			skynet.error("ended")
		elseif #data > LOGGED_BYTES then
			skynet.error(("got %d bytes"):format(#data))
		else
			skynet.error("got " .. data)
		end
	end,
})

skynet.start(function()
	assert(skynet.launch("connection", "1"))
	local stuck = skynet.getenv("user_fifo")
	local receivers = {
		ME = skynet.address(skynet.self()),
		STUCK = stuck and skynet.address(skynet.launch("stuck", stuck)),
	}
	local harbor
	local function tell_harbor(command)
		harbor = harbor or assert(skynet.launch("fake_harbor"))
		return skynet.call(harbor, "text", command)
	end
	local listener = socket.listen("127.0.0.1", math.tointeger(skynet.getenv("user_port")))
	socket.start(listener, function(id)
		socket.start(id)
		while true do
			local line = socket.readline(id)
			if not line then
				break
			end
			local for_harbor = line:match("^HARBOR (.*)")
			local command = line:gsub("%u%u+$", receivers)
			local ok, result
			if for_harbor then
				ok, result = pcall(tell_harbor, for_harbor)
			else
				ok, result = pcall(skynet.call, ".connection", "text", command)
			end
			local answer = ok and "ok" or result:gsub("\n.*", "")
			if ok and for_harbor then
				answer = "ok probe " .. select(2, result:gsub("probe", ""))
			end
			socket.write(id, answer .. "\n")
		end
		socket.close(id)
	end)
	skynet.error("ready")
end)
