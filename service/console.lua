-- console.lua: a line on the standard input of the process starts a Lua service: `NAME ARGUMENTS`,
-- or a snax service: `snax NAME ARGUMENTS`. All that is told of failures is what a service that
-- fails logs itself. At the end of the input the console ends; the node goes on.
local skynet = require("skynet")
local socket = require("skynet.socket")

--- Nobody types more.
local LINE_BYTES_MAX <const> = 64 * 1024

local function words_of(line)
	local words = {}
	for word in line:gmatch("%S+") do
		words[#words + 1] = word
	end
	return words
end

local function start_snax(...)
	local ok, snax = pcall(require, "skynet.snax")
	if not ok then
		skynet.error("console: there is no library skynet.snax here")
		return
	end
	pcall(snax.newservice, ...) -- it has logged why it failed
end

local function run(line)
	local words = words_of(line)
	if words[1] == "snax" then
		if words[2] then
			start_snax(table.unpack(words, 2))
		end
	elseif words[1] then
		pcall(skynet.newservice, table.unpack(words)) -- it has logged why it failed
	end
end

local function read_lines(input)
	while true do
		local line, rest = socket.readline(input)
		if not line then
			run(rest) -- a last line without its end
			return
		end
		run(line)
	end
end

skynet.start(function()
	skynet.call_timeout(false) -- the next line may need what this one starts
	local input, reason = socket.stdin()
	if not input then
		skynet.error("console: the standard input cannot be read: " .. reason)
		skynet.exit()
	end
	socket.limit(input, LINE_BYTES_MAX)
	skynet.fork(function()
		read_lines(input)
		socket.close(input)
		skynet.exit()
	end)
end)
