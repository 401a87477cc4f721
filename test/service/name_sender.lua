-- name_sender.lua NAME: sends numbered messages to whoever has the global name: a few that want no
-- answer, then a request, and goes on as soon as that is answered, or has failed.
--   "stop"   a request: no more; the number of the last one
local skynet = require("skynet")

local name = ...

local BURST <const> = 5

local number = 0
local is_sending = true

--- Sends the next number, which does not count if nobody can have got it.
local function send_one()
	if skynet.send(name, "lua", "one", number + 1) then
		number = number + 1
	end
end

local function ask_one()
	number = number + 1
	pcall(skynet.call, name, "lua", "ask", number)
end

skynet.start(function()
	skynet.dispatch("lua", function()
		is_sending = false
		skynet.retpack(number)
	end)
	skynet.fork(function()
		while is_sending do
			for _ = 1, BURST do
				send_one()
			end
			ask_one()
			skynet.yield()
		end
	end)
end)
