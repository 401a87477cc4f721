--- For tests of sockets: connections of a service with itself, and tasks that wait at them.
local skynet = require("skynet")
local socket = require("skynet.socket")
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

--- Runs f(...) in a task of its own. Returns a function that waits for its results.
function pair.spawn(f, ...)
	local results
	local token = {}
	skynet.fork(function(...)
		results = table.pack(f(...))
		skynet.wakeup(token)
	end, ...)
	return function()
		if not results then
			skynet.wait(token)
		end
		return table.unpack(results, 1, results.n)
	end
end

function pair.close(...)
	for _, id in ipairs({ ... }) do
		socket.close(id)
	end
end

return pair
