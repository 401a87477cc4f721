--- For tests of sockets: connections of a service with itself, and tasks that wait at them.
local skynet = require("skynet")
local socket = require("skynet.socket")
local tasks = require("tasks")
local test = require("skynet.test")

local KIB <const> = 1024

local pair = {}

--- So many MiB of text, built in large steps: what copies single bytes is slow under sanitizers.
function pair.mebibytes(count)
	return ("x"):rep(KIB):rep(count * KIB)
end

--- Two ends of a new connection. The far one is what the listener has accepted.
function pair.connect()
	local far
	local token = {}
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.start(listener, function(id)
		far = id
		skynet.wakeup(token)
	end)
	local near = assert(socket.open("127.0.0.1", port))
	if not far then
		skynet.wait(token)
	end
	test.equal(socket.start(far), far)
	socket.close(listener)
	return near, far
end

local function results_of(ok, ...)
	if not ok then
		error((...), 0)
	end
	return ...
end

--- Runs f(...) in a task of its own. Returns a function that waits for its results, or raises what
--- it has raised.
function pair.spawn(f, ...)
	local finish = tasks.begin(f, ...)
	return function()
		return results_of(finish())
	end
end

function pair.close(...)
	for _, id in ipairs({ ... }) do
		socket.close(id)
	end
end

return pair
