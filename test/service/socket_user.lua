-- socket_user.lua: a service that reads and writes sockets as clients ask. Each connection begins
-- with a line that says what shall happen. Config keys: user_port; user_agents: connections are
-- taken over by a service of their own (this script, launched with "agent").
--   echo          lines come back; at the end "rest:" and what came behind the last line
--   count N       N bytes are read at once, and the answer is the sum of their values
--   mute          nothing is read any more
--   flood N       N MiB are written at once, then as many bytes are read as come
--   push N        N KiB are written ten times a second, until that fails
--   limit N       lines of at most N bytes come back
--   patience CS   as echo, but who says nothing for so long is told "timeout" and left
--   open ADDRESS CS   connects, with that timeout, and tells how it went
--   die           the service ends
-- What has happened is logged: "done ID MODE".
local skynet = require("skynet")
local socket = require("skynet.socket")

local role = ...

local function echo(id)
	while true do
		local line, rest = socket.readline(id)
		if line == nil then
			socket.write(id, rest .. "\n")
			return
		elseif not line then
			socket.write(id, "rest:" .. rest)
			return
		end
		socket.write(id, line .. "\n")
	end
end

local modes = { echo = echo }

function modes.count(id, count)
	local data, rest = socket.read(id, tonumber(count))
	if not data then
		socket.write(id, "short:" .. #rest)
		return
	end
	local sum = 0
	for i = 1, #data do
		sum = sum + data:byte(i)
	end
	socket.write(id, "sum:" .. sum)
end

function modes.mute(id)
	local token = {}
	socket.onclose(id, function()
		skynet.wakeup(token)
	end)
	skynet.wait(token)
end

function modes.flood(id, mib)
	for _ = 1, tonumber(mib) do
		if not socket.write(id, ("x"):rep(1 << 10):rep(1 << 10)) then
			break
		end
	end
	while socket.read(id) do
		skynet.yield()
	end
end

local pieces = {} -- by size: one string for all connections

function modes.push(id, kib)
	local bytes = pieces[kib] or ("x"):rep(tonumber(kib) << 10)
	pieces[kib] = bytes
	while socket.write(id, bytes) do
		skynet.sleep(10)
	end
end

function modes.limit(id, bytes)
	socket.limit(id, tonumber(bytes))
	echo(id)
end

function modes.patience(id, cs)
	socket.timeout(id, tonumber(cs))
	echo(id)
end

function modes.open(id, address, cs)
	local opened, reason = socket.open(address, { timeout = tonumber(cs) })
	socket.write(id, opened and "opened\n" or reason .. "\n")
	if opened then
		socket.close(opened)
	end
end

function modes.die()
	skynet.exit()
end

local function serve(id)
	assert(socket.start(id))
	local request = socket.readline(id)
	local words = {}
	for word in (request or ""):gmatch("%S+") do
		words[#words + 1] = word
	end
	local mode = modes[words[1]]
	if mode then
		mode(id, table.unpack(words, 2))
	end
	socket.close(id)
	skynet.error(("done %d %s"):format(id, words[1]))
end

local function serve_by_agent(id)
	local agent = skynet.newservice("socket_user", "agent")
	skynet.send(agent, "lua", id)
end

skynet.start(function()
	if role == "agent" then
		skynet.dispatch("lua", function(_, _, id)
			serve(id)
			skynet.exit()
		end)
		return
	end
	local listener = socket.listen("127.0.0.1", math.tointeger(skynet.getenv("user_port")))
	socket.start(listener, skynet.getenv("user_agents") == "true" and serve_by_agent or serve)
	skynet.error("ready")
end)
