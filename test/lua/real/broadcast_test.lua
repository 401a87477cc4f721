-- Several services, on several threads, send shared bytes to the same sockets at the same time.
local skynet = require("skynet")
require("skynet.manager")
local driver = require("skynet.socketdriver")
local check = require("check")
local child = require("child")

local SENDERS <const>, ROUNDS <const>, CLIENTS <const> = 4, 50, 20
local DATA <const>, CONNECT <const>, ACCEPT <const> = 1, 2, 4

local token = {}
local received = {} -- by id: bytes
local accepted = {}
local connected = 0
local port

skynet.register_protocol({
	name = "socket",
	id = skynet.PTYPE_SOCKET,
	unpack = driver.unpack,
	dispatch = function(_, _, type, id, number, data)
		if type == DATA then
			received[id] = (received[id] or "") .. skynet.tostring(data, number)
			driver.drop(data, number)
		elseif type == ACCEPT then
			accepted[#accepted + 1] = number
		elseif type == CONNECT and not port then
			port = number
		elseif type == CONNECT then
			connected = connected + 1
		end
		skynet.wakeup(token)
	end,
})

local function wait_until(is_true)
	while not is_true() do
		skynet.wait(token)
	end
end

local function sender()
	local sockets = require("skynet.socketdriver")
	skynet.start(function()
		skynet.dispatch("lua", function(_, _, ids, text, rounds)
			local count = 0
			for _ = 1, rounds do
				count = count + sockets.broadcast(ids, text)
			end
			skynet.retpack(count)
		end)
	end)
end

return {
	{
		"frames_from_many_services_arrive_whole",
		function()
			local listener = driver.listen("127.0.0.1", 0)
			wait_until(function()
				return port
			end)
			driver.start(listener)
			local clients = {}
			for i = 1, CLIENTS do
				clients[i] = driver.connect("127.0.0.1", port)
			end
			wait_until(function()
				return #accepted == CLIENTS and connected == CLIENTS + 1
			end)
			local senders, waiting = {}, SENDERS
			for i = 1, SENDERS do
				senders[i] = child.start(sender)
			end
			for i = 1, SENDERS do
				skynet.fork(function()
					local text = ("%d"):format(i):rep(100) .. "\n"
					local to = senders[i]
					local count = skynet.call(to, "lua", accepted, text, ROUNDS)
					check.equal(count, CLIENTS * ROUNDS)
					waiting = waiting - 1
					skynet.wakeup(token)
				end)
			end
			local size = SENDERS * ROUNDS * 101
			wait_until(function()
				for i = 1, CLIENTS do
					if #(received[clients[i]] or "") < size then
						return false
					end
				end
				return waiting == 0
			end)
			for i = 1, CLIENTS do
				local counts = {}
				for line in received[clients[i]]:gmatch("[^\n]+") do
					check.ok(line == line:sub(1, 1):rep(100), "a whole frame")
					local who = line:sub(1, 1)
					counts[who] = (counts[who] or 0) + 1
				end
				for k = 1, SENDERS do
					check.equal(counts[tostring(k)], ROUNDS)
				end
			end
			for i = 1, SENDERS do
				skynet.kill(senders[i])
			end
		end,
	},
}
