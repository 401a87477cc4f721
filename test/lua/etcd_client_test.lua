-- skynet.registry.etcd_client, with a server that is written here: where the last call goes.
local skynet = require("skynet")
local socket = require("skynet.socket")
local test = require("skynet.test")
local tasks = require("tasks")

local case <const> = test.case

if not pcall(require, "cjson") then
	case("cjson_is_not_installed_so_nothing_is_tried", function() end)
	return
end

local client = require("skynet.registry.etcd_client")

local SOUND <const> = '{"header":{"member_id":"1"}}'
local HEAD <const> = "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
local ANSWER <const> = HEAD:format(#SOUND) .. SOUND
local TOKEN <const> = '{"header":{"member_id":"1"},"token":"abc"}'
local AUTHENTICATE <const> = "/v3/auth/authenticate"

--- A server that answers when it is told to.
---@class etcd_client_test.server
---@field port integer
---@field requests string[] "NUMBER PATH" of each, with the number of its connection
---@field sockets integer[] of the connections
local methods = {}
local class = { __index = methods }

local function serve(self, id)
	socket.start(id)
	table.insert(self.sockets, id)
	local number = #self.sockets
	local head = socket.readline(id, "\r\n\r\n")
	while head do
		local size = tonumber(head:match("Content%-Length: (%d+)")) or 0
		local body = size > 0 and socket.read(id, size)
		table.insert(self.requests, ("%d %s"):format(number, head:match("^%u+ (%S+)")))
		skynet.wakeup(self)
		head = body ~= false and socket.readline(id, "\r\n\r\n")
	end
	table.insert(self.requests, ("%d end"):format(number))
	skynet.wakeup(self)
end

--- Waits until so many requests and ends have come.
function methods:await(count)
	while #self.requests < count do
		skynet.wait(self)
	end
end

--- Answers on a connection. body: JSON.
function methods:answer(number, body)
	local text = body and HEAD:format(#body) .. body or ANSWER
	socket.write(self.sockets[number], text)
end

--- A server, and a client of it. user: it shows a password.
local function start(user)
	local server = setmetatable({ requests = {}, sockets = {} }, class)
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.start(listener, function(id)
		serve(server, id)
	end)
	local hosts = { { host = "127.0.0.1", port = port, name = "it" } }
	return server, client.new({ hosts = hosts, user = user, password = user })
end

--- Begins a call that goes to a connection of its own. Returns a function that waits for its end.
local function begin_call(server, etcd)
	local count = #server.requests
	local finish = tasks.begin(etcd.call, etcd, "/call", {}, skynet.now() + 1000)
	server:await(count + 1)
	return function(number)
		server:answer(number)
		local ok, answer = finish()
		test.equal(ok and answer.header.member_id, "1")
	end
end

case("the last call goes to a connection that has nothing to do", function()
	local server, etcd = start()
	begin_call(server, etcd)(1)
	etcd:close("/last", "{}")
	server:await(4)
	test.equal(table.concat(server.requests, ", "), "1 /call, 1 /last, 1 /version, 1 end")
end)

case("the last call follows one whose answer has not come, and is made once more", function()
	local server, etcd = start()
	begin_call(server, etcd)
	etcd:close("/last", "{}")
	server:await(5)
	server:answer(2)
	server:await(6)
	local first, second = {}, {}
	for _, request in ipairs(server.requests) do
		table.insert(request:find("^1") and first or second, request)
	end
	test.equal(table.concat(first, ", "), "1 /call, 1 /last, 1 /version, 1 end")
	test.equal(table.concat(second, ", "), "2 /last, 2 end")
end)

case("other calls leave a connection to the last one", function()
	local server, etcd = start()
	begin_call(server, etcd)(1)
	begin_call(server, etcd)
	etcd:close("/last", "{}")
	server:await(5)
	test.equal(table.concat(server.requests, ", ", 1, 2), "1 /call, 2 /call")
	local last = table.concat(server.requests, ", ", 3)
	test.equal(last:gsub("2 end,? ?", ""):gsub(", $", ""), "1 /last, 1 /version, 1 end")
end)

case("calls take turns on the connections, so that none is silent for long", function()
	local server, etcd = start()
	begin_call(server, etcd)(1)
	begin_call(server, etcd)(2)
	begin_call(server, etcd)(1)
	begin_call(server, etcd)(2)
	test.equal(table.concat(server.requests, ", "), "1 /call, 2 /call, 1 /call, 2 /call")
	etcd:close()
end)

case("a connection that the server has ended does not get the last call", function()
	local server, etcd = start()
	local finish_first, finish_second = begin_call(server, etcd), begin_call(server, etcd)
	finish_first(1)
	finish_second(2) -- so it is the one to be used next
	socket.shutdown(server.sockets[2])
	server:await(3)
	test.equal(server.requests[3], "2 end")
	while etcd.idle[2]:is_usable() do
		skynet.sleep(1)
	end
	etcd:close("/last", "{}")
	server:await(6)
	test.equal(table.concat(server.requests, ", ", 4), "1 /last, 1 /version, 1 end")
end)

case("without a connection the last call gets one, as long as tasks run", function()
	local server, etcd = start()
	etcd:close("/last", "{}")
	server:await(1)
	server:answer(1)
	server:await(2)
	test.equal(table.concat(server.requests, ", "), "1 /last, 1 end")
end)

--- Begins some calls at once, of a user who has no token. Returns functions that wait for their
--- ends.
local function begin_calls(etcd, count)
	local finish = {}
	for i = 1, count do
		finish[i] = tasks.begin(etcd.call, etcd, "/call", {}, skynet.now() + 10000)
	end
	return finish
end

--- Waits until a request for this path has come, behind so many others. Returns the number of its
--- connection, and which request it is.
local function await_path(server, path, behind)
	local i = behind + 1
	while true do
		server:await(i)
		local number = server.requests[i]:match("^(%d+) " .. path .. "$")
		if number then
			return math.tointeger(number), i
		end
		i = i + 1
	end
end

case("the password is shown once for all who wait", function()
	local server, etcd = start("me")
	local finish = begin_calls(etcd, 5)
	server:await(1)
	skynet.sleep(50) -- none of the others asks for itself
	test.equal(table.concat(server.requests, ", "), "1 " .. AUTHENTICATE)
	server:answer(1, TOKEN)
	for i = 1, 5 do
		server:answer((await_path(server, "/call", i)))
	end
	for i = 1, 5 do
		test.equal((finish[i]()), true)
	end
	etcd:close()
end)

case("a server that takes long to check a password gets more time at each try", function()
	local server, etcd = start("me")
	local finish = begin_calls(etcd, 3)
	local seen, number = 0, nil
	for try = 1, 3 do -- 2 s, 4 s, 8 s
		number, seen = await_path(server, AUTHENTICATE, seen)
		if try == 3 then
			skynet.sleep(700)
		end
	end
	server:answer(number, TOKEN)
	for _ = 1, 3 do
		number, seen = await_path(server, "/call", seen)
		server:answer(number)
	end
	for i = 1, 3 do
		test.equal((finish[i]()), true)
	end
	local count = 0
	for _, request in ipairs(server.requests) do
		count = count + (request:find(AUTHENTICATE, 1, true) and 1 or 0)
	end
	test.equal(count, 3)
	etcd:close()
end)

--- Begins a call. Returns the socket of the server's end, and a function that waits for the end.
local function begin_slow_call()
	local server, etcd = start()
	local finish = tasks.begin(etcd.call, etcd, "/call", {}, skynet.now() + 10000)
	server:await(1)
	return server, server.sockets[1], function()
		local ok, answer = finish()
		etcd:close()
		return ok and answer
	end
end

case("an answer is awaited as long as more of it comes", function()
	local server, id, finish = begin_slow_call()
	socket.write(id, HEAD:format(#SOUND))
	for i = 1, #SOUND do
		skynet.sleep(150)
		socket.write(id, SOUND:sub(i, i))
	end
	test.equal(finish().header.member_id, "1")
	server:await(2)
	test.equal(server.requests[2], "1 end") -- there was no other request
end)

case("an answer of which nothing comes any more is asked for again", function()
	local server, id, finish = begin_slow_call()
	socket.write(id, HEAD:format(#SOUND) .. SOUND:sub(1, 5))
	local number = await_path(server, "/call", 1)
	server:answer(number)
	test.equal(finish().header.member_id, "1")
	test.equal(number, 2)
end)
