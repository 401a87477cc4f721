-- test_log: the log service of `skynet --test`. Prints the lines, and keeps them for those who look
-- for them (skynet.test).

local skynet = require("skynet")

local lines = {}
local waiters = {}

local function find(mark, pattern)
	for i = mark + 1, #lines do
		if lines[i]:find(pattern) then
			return lines[i], i
		end
	end
end

local command = {}

--- A place: all lines that are logged from now on are behind it.
function command.mark()
	skynet.retpack(#lines)
end

--- Answers with the first line behind the mark with the pattern in it, and its place, as soon as it
--- is there.
function command.wait(mark, pattern)
	local line, place = find(mark, pattern)
	if line then
		skynet.retpack(line, place)
	else
		local answer = skynet.response()
		table.insert(waiters, { mark = mark, pattern = pattern, answer = answer })
	end
end

function command.lines(mark, pattern)
	local found = {}
	for i = mark + 1, #lines do
		if lines[i]:find(pattern) then
			table.insert(found, lines[i])
		end
	end
	skynet.retpack(found)
end

local function answer_waiters()
	for i = #waiters, 1, -1 do
		local waiter = waiters[i]
		local line, place = find(waiter.mark, waiter.pattern)
		if line then
			table.remove(waiters, i)
			waiter.answer(true, line, place)
		end
	end
end

skynet.register_protocol({
	name = "text",
	id = skynet.PTYPE_TEXT,
	unpack = skynet.tostring,
	dispatch = function(_, source, text)
		local line = ("[:%08x] %s"):format(source, text)
		io.stdout:write(line .. "\n") -- in one piece: others write there too
		io.stdout:flush()
		lines[#lines + 1] = line
		answer_waiters()
	end,
})

skynet.dispatch("lua", function(_, _, name, ...)
	command[name](...)
end)

skynet.start(function() end)
