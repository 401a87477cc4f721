-- bench_job.lua: does a piece of work that needs nothing but a core.

local skynet = require "skynet"

local command = {}
local steps = 1000

local function work(n)
	local sum = 0
	for i = 1, n do
		sum = sum + i % 7
	end
	return sum
end

--- How many steps take that long, judged by the fastest of several tries.
function command.calibrate(wanted_ns)
	local tried <const> = 20000
	local fastest = math.huge
	for _ = 1, 50 do
		local begin = skynet.hpc()
		work(tried)
		fastest = math.min(fastest, skynet.hpc() - begin)
	end
	return math.ceil(tried * wanted_ns / fastest)
end

function command.steps(n)
	steps = n
end

function command.run()
	return work(steps)
end

skynet.start(function()
	skynet.dispatch("lua", function(_, _, name, ...)
		skynet.retpack(command[name](...))
	end)
end)
