-- sequence_receiver.lua [LIMIT]: checks the numbers that sequence senders send: of each sender they
-- must grow. LIMIT: its mailbox has that limit, and refuses what is beyond it. Messages:
--   "one" NUMBER TO COUNT TEXT  TO: the handle that it was sent to; TEXT: COUNT times the number,
--                               17 bytes each, so that no two frames of it are the same
--   "ask" NUMBER TO COUNT TEXT  a request: the number comes back
--   "report"                    a request: what it has seen of the one who asks
--   "pause" CS                  it computes for so long, and handles nothing
local skynet = require("skynet")

local limit = ...

local MOST_GAPS <const> = 100000
-- source -> { last =, gaps = { first, last, first, last, ... }, faults = { text, ... } }
local streams = {}

local function stream_of(source)
	local stream = streams[source]
	if not stream then
		stream = { last = 0, gaps = {}, faults = {} }
		streams[source] = stream
	end
	return stream
end

local function note(source, number, to, count, text)
	local stream = stream_of(source)
	local fault
	if to ~= skynet.self() then
		fault = ("%d was sent to %s"):format(number, skynet.address(to))
	elseif text ~= ("%17d"):format(number):rep(count) then
		fault = ("the text of %d is another one"):format(number)
	elseif number <= stream.last then
		fault = ("%d came after %d"):format(number, stream.last)
	elseif number > stream.last + 1 then
		if #stream.gaps < 2 * MOST_GAPS then
			table.insert(stream.gaps, stream.last + 1)
			table.insert(stream.gaps, number - 1)
		else
			fault = "too many gaps"
		end
	end
	if fault and #stream.faults < 10 then
		table.insert(stream.faults, fault)
	end
	stream.last = math.max(stream.last, number)
end

local command = {}

function command.one(source, ...)
	note(source, ...)
end

function command.ask(source, number, ...)
	note(source, number, ...)
	skynet.retpack(number)
end

function command.report(source)
	skynet.retpack(stream_of(source))
end

function command.pause(_, cs)
	local till = skynet.hpc() + cs * 10000000
	while skynet.hpc() < till do
	end
end

skynet.start(function()
	if limit then
		skynet.mailbox({ limit = math.tointeger(tonumber(limit)), policy = "error" })
	end
	skynet.dispatch("lua", function(_, source, name, ...)
		command[name](source, ...)
	end)
end)
