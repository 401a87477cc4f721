-- test_log: the log service of the Lua tests. Prints the lines, as the standard one does, and keeps
-- them for lib/log.lua.
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

function command.mark()
	skynet.retpack(#lines)
end

function command.wait(mark, pattern)
	local line, place = find(mark, pattern)
	if line then
		skynet.retpack(line, place)
	else
		table.insert(
			waiters,
			{ mark = mark, pattern = pattern, answer = skynet.response() }
		)
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
		lines[#lines + 1] = line
		answer_waiters()
	end,
})

skynet.dispatch("lua", function(_, _, name, ...)
	command[name](...)
end)

skynet.start(function() end)
