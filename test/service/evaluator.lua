-- evaluator.lua: runs Lua that a test sends. Argument: the port; by default the config key
-- evaluator_port. A frame (2 bytes of length, big-endian) is a chunk; all chunks share their
-- globals. The answer is a frame with "ok VALUE,VALUE..." or "error TEXT". Each connection has a
-- task of its own.
local skynet = require("skynet")
local socket = require("skynet.socket")

local port = math.tointeger(tonumber(... or skynet.getenv("evaluator_port")))
local globals = setmetatable({ skynet = skynet }, { __index = _ENV })

local function evaluate(code)
	local chunk = assert(load(code, "=chunk", "t", globals))
	local results = table.pack(chunk())
	for i = 1, results.n do
		local value = results[i]
		results[i] = type(value) == "table" and table.concat(value, " ") or tostring(value)
	end
	return table.concat(results, ",", 1, results.n)
end

local function serve(id)
	socket.start(id)
	while true do
		local header = socket.read(id, 2)
		local code = header and socket.read(id, socket.header(header))
		if not code then
			break
		end
		local ok, text = pcall(evaluate, code)
		socket.write(id, string.pack(">s2", (ok and "ok " or "error ") .. tostring(text)))
	end
	socket.close(id)
end

skynet.start(function()
	local listener = socket.listen("127.0.0.1", port)
	socket.start(listener, serve)
	skynet.error("evaluator is ready")
end)
