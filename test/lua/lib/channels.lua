--- What the tests of skynet.socketchannel share: servers, channels to them, and functions that read
--- answers.
local socket = require("skynet.socket")
local socketchannel = require("skynet.socketchannel")
local check = require("check")

local channels = {}

-- Servers --------------------------------------------------------------------------------------

--- Listens on a free port, and runs handle(id, n) for the n-th connection in a task of its own.
--- Returns the port, and a table with the ids of all connections so far.
function channels.serve(handle)
	local ids = {}
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.start(listener, function(id)
		ids[#ids + 1] = id
		local number = #ids
		socket.start(id)
		handle(id, number)
	end)
	return port, ids, listener
end

--- For each line the server gets, it answers with that line.
function channels.echo(id)
	while true do
		local line = socket.readline(id)
		if not line then
			break
		end
		socket.write(id, line .. "\n")
	end
	socket.close(id)
end

--- A server that reads and never answers. Returns its port, and whether a connection was closed.
function channels.serve_silence()
	local closed = {}
	local port, ids = channels.serve(function(id, number)
		while socket.read(id) do
			closed[number] = false
		end
		closed[number] = true
		socket.close(id)
	end)
	return port, ids, closed
end

--- A port on which nobody listens.
function channels.dead_port()
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.close(listener)
	return port
end

-- Reading answers ------------------------------------------------------------------------------

function channels.line(sock)
	return true, sock:readline()
end

--- Session mode: "SESSION ok|error|more TEXT".
function channels.by_session(sock)
	local session, kind, text = sock:readline():match("^(%d+) (%a+) (.*)$")
	return assert(math.tointeger(session)), kind ~= "error", text, kind == "more"
end

function channels.channel_to(port, options)
	local all = { host = "127.0.0.1", port = port }
	for name, value in pairs(options or {}) do
		all[name] = value
	end
	return socketchannel.channel(all)
end

--- f(...) raises an error of the channel whose reason has the pattern in it.
function channels.raises_failure(pattern, f, ...)
	local ok, reason = pcall(f, ...)
	check.equal(ok, false, "nothing raised")
	check.ok(reason == socketchannel.error, "not the socket error: " .. tostring(reason))
	check.matches(tostring(reason), "^%[Error: socket%]")
	check.matches(tostring(reason), pattern)
	return reason
end

return channels
