-- sequence_sender.lua: sends numbered messages and requests to sequence receivers, and keeps
-- account of them. To each receiver goes one row of numbers, over both kinds. Requests to it:
--   "begin" RECEIVERS OPTIONS  sends to these, until "stop". Options: burst (messages at a time,
--               10), pause (cs between bursts, 1; 0: only lets others run), asks (each how many-th
--               is a request, 4; 0: none), window (requests at a time to each receiver, 64), size
--               (further bytes in each message, 16), most (numbers to each receiver; none: any)
--   "stop"      no more; returns when every task that sends has ended
--   "settle" CS waits so long until no request is pending; returns how many still are
--   "pending"   their receivers and numbers, as text
--   "counts"    sent, answered, failed, refused, told, deaths, pending; and the texts of errors
--   "verify" DEAD  what is wrong, as lines; DEAD: set of receivers that have ended: they are not
--               asked, but somebody must have told of their end
local skynet = require("skynet")
require("skynet.manager")

local rows = {} -- receiver -> row
local counts = {
	sent = 0,
	answered = 0,
	failed = 0,
	refused = 0,
	told = 0,
	deaths = 0,
	pending = 0,
}
local faults = {}
local reasons = {} -- text of an error -> how often
local is_sending = false
local sending_tasks = 0
local options

local function fault(text, ...)
	if #faults < 20 then
		table.insert(faults, text:format(...))
	end
end

--- What is known of the numbers sent to one receiver. asked: number -> was it answered (true), or
--- has it failed (false); refused: numbers that a send has refused; told: how many errors came for
--- messages that want no answer; covered: the last number before its node's last death; last_told:
--- the last number before any error; waiting: set of the numbers that are pending.
local function new_row(receiver)
	return {
		receiver = receiver,
		sent = 0,
		waiting = {},
		asked = {},
		refused = {},
		told = 0,
		covered = 0,
		last_told = 0,
		pending = 0,
	}
end

local function next_number(row)
	row.sent = row.sent + 1
	counts.sent = counts.sent + 1
	return row.sent
end

local function note_reason(text)
	text = tostring(text):match("^[^\n]*"):gsub(":%x%x%x%x%x%x%x%x", ":X")
	reasons[text] = (reasons[text] or 0) + 1
end

--- What the receiver checks: the number, again and again.
local function text_of(number)
	local count = options.size // 17 + 1
	return count, ("%17d"):format(number):rep(count)
end

local function ask(row)
	row.pending = row.pending + 1
	counts.pending = counts.pending + 1
	local number = next_number(row)
	row.waiting[number] = true
	local to = row.receiver
	local ok, answer = pcall(skynet.call, to, "lua", "ask", number, to, text_of(number))
	row.waiting[number] = nil
	row.asked[number] = ok
	row.pending = row.pending - 1
	counts.pending = counts.pending - 1
	if ok then
		counts.answered = counts.answered + 1
		if answer ~= number then
			fault("request %d was answered with %s", number, tostring(answer))
		end
	else
		counts.failed = counts.failed + 1
		row.last_told = math.max(row.last_told, number)
		note_reason(answer)
	end
end

local function send(row)
	local number = next_number(row)
	local to = row.receiver
	if not skynet.send(to, "lua", "one", number, to, text_of(number)) then
		row.refused[number] = true
		row.last_told = math.max(row.last_told, number)
		counts.refused = counts.refused + 1
	end
end

local function send_burst(row)
	for _ = 1, options.burst do
		local is_ask = options.asks > 0 and (row.sent + 1) % options.asks == 0
		if not is_ask then
			send(row)
		elseif row.pending < options.window then
			-- It takes its number when it calls: numbers are in the order of sends.
			skynet.fork(ask, row)
			skynet.yield()
		else
			break
		end
		if row.sent == options.most then
			return
		end
	end
end

local function send_to(row)
	sending_tasks = sending_tasks + 1
	while is_sending and row.sent ~= options.most do
		send_burst(row)
		if options.pause > 0 then
			skynet.sleep(options.pause)
		else
			skynet.yield()
		end
	end
	sending_tasks = sending_tasks - 1
end

-- The session of the error for one message that wanted no answer, from a receiver that lives on.
local LOST <const> = -1

--- Errors for what wanted no answer: from the receiver, or of a node.
local function note_error(source, text)
	if source & 0xffffff ~= 0 then
		local row = rows[source]
		if row then
			row.told = row.told + 1
			row.last_told = row.sent
			counts.told = counts.told + 1
			note_reason(text)
		end
		return
	end
	counts.deaths = counts.deaths + 1
	note_reason(text)
	for receiver, row in pairs(rows) do
		if receiver >> 24 == source >> 24 then
			row.covered = row.sent
			row.last_told = row.sent
		end
	end
end

local function filter(type, message, size, session, source)
	if type == skynet.PTYPE_ERROR and (session == 0 or session == LOST) then
		note_error(source, size > 0 and skynet.tostring(message, size) or "(no text)")
	end
	return type, message, size, session, source
end

local command = {}

function command.begin(receivers, wanted)
	options = { burst = 10, pause = 1, asks = 4, window = 64, size = 16 }
	for key, value in pairs(wanted or {}) do
		options[key] = value
	end
	is_sending = true
	for _, receiver in ipairs(receivers) do
		rows[receiver] = rows[receiver] or new_row(receiver)
		skynet.fork(send_to, rows[receiver])
	end
end

function command.stop()
	is_sending = false
	while sending_tasks > 0 do
		skynet.sleep(1)
	end
end

function command.settle(cs)
	local till = skynet.now() + cs
	while counts.pending > 0 and skynet.now() < till do
		skynet.sleep(2)
	end
	return counts.pending
end

--- The numbers of the requests that are pending, as text.
function command.pending()
	local lines = {}
	for receiver, row in pairs(rows) do
		for number in pairs(row.waiting) do
			local place = ("%d/%d"):format(number, row.sent)
			table.insert(lines, skynet.address(receiver) .. " " .. place)
		end
	end
	table.sort(lines)
	return table.concat(lines, " ")
end

function command.counts()
	return counts, reasons
end

--- Was the sender told of this one, which has not arrived? Returns false if an error that names no
--- number has to stand for it.
local function is_told(row, number)
	local answer = row.asked[number]
	if answer == true then
		local text = "%d to %s was answered, but has not arrived"
		fault(text, number, skynet.address(row.receiver))
		return true
	end
	return answer == false or row.refused[number] or number <= row.covered
end

--- Asks a receiver what it has got; again while the way there is full of what was sent before.
local function ask_report(receiver)
	local deadline = skynet.now() + 1000
	while true do
		local ok, report = pcall(skynet.call_within, 1000, receiver, "lua", "report")
		if ok or not report:find("is full", 1, true) or skynet.now() >= deadline then
			return ok, report
		end
		skynet.sleep(5)
	end
end

local function verify_alive(row)
	local name = skynet.address(row.receiver)
	local ok, report = ask_report(row.receiver)
	if not ok then
		fault("%s does not report: %s", name, report)
		return
	end
	for _, text in ipairs(report.faults) do
		fault("at %s: %s", name, text)
	end
	local gaps = report.gaps
	table.insert(gaps, report.last + 1)
	table.insert(gaps, row.sent)
	local untold, first = 0, nil
	for i = 1, #gaps, 2 do
		for number = gaps[i], gaps[i + 1] do
			if not is_told(row, number) then
				untold = untold + 1
				first = first or number
			end
		end
	end
	if untold > row.told then
		local text = "%s: %d are missing (of %d; the first is %d), but only %d errors came"
		fault(text, name, untold, row.sent, first, row.told)
	end
end

function command.verify(dead)
	for receiver, row in pairs(rows) do
		local name = skynet.address(receiver)
		if row.pending ~= 0 then
			fault("%d requests to %s are pending", row.pending, name)
		end
		if not dead[receiver] then
			verify_alive(row)
		elseif row.last_told < row.sent then
			local text = "nobody told of the end of %s: %d sent, told of %d"
			fault(text, name, row.sent, row.last_told)
		end
	end
	return table.concat(faults, "\n")
end

skynet.filter(filter, function()
	skynet.dispatch("lua", function(session, _, name, ...)
		if session == 0 then
			command[name](...)
		else
			skynet.retpack(command[name](...))
		end
	end)
end)
