-- name_owner.lua NAME: has a global name for a while, and looks whether the numbers of each name
-- sender are a row without gaps, from the first one on that comes here.
--   "one" NUMBER     a message of a sender; "ask" NUMBER is the same as a request
--   "await" SENDERS COUNT   a request: answered when so many senders have sent so many messages
--                    each since then; with the texts of what was wrong
--   "last" SENDER    a request: the last number of that sender, and what was wrong
local skynet = require("skynet")

local name = ...

local FAULTS_MAX <const> = 10

local rows = {} -- sender -> { last =, count = }
local faults = {}
local awaited

local function is_enough()
	local enough = 0
	for _, row in pairs(rows) do
		enough = enough + (row.count >= awaited.count and 1 or 0)
	end
	return enough >= awaited.senders
end

local function note(source, number)
	local row = rows[source] or { last = number - 1, count = 0 }
	rows[source] = row
	if number ~= row.last + 1 and #faults < FAULTS_MAX then
		local text = "%s: %d came after %d"
		faults[#faults + 1] = text:format(skynet.address(source), number, row.last)
	end
	row.last = number
	row.count = row.count + 1
	if awaited and row.count == awaited.count and is_enough() then
		awaited.respond(true, faults)
		awaited = nil
	end
end

local command = { one = note }

function command.ask(source, number)
	note(source, number)
	skynet.ret()
end

function command.await(_, senders, count)
	for _, row in pairs(rows) do
		row.count = 0
	end
	awaited = { senders = senders, count = count, respond = skynet.response() }
end

function command.last(_, sender)
	skynet.retpack(rows[sender] and rows[sender].last, faults)
end

--- Gets the name as soon as the former owner has lost it.
local function get_name()
	while true do
		local owner = skynet.call(".cslave", "lua", "REGISTER", name, skynet.self())
		if owner == skynet.self() then
			return
		end
		skynet.call(".cslave", "lua", "AWAITNAME", name, owner)
	end
end

skynet.start(function()
	skynet.dispatch("lua", function(_, source, what, ...)
		command[what](source, ...)
	end)
	get_name()
end)
