-- bench_remote.lua: what the services of another node call and send to, under global names.

local skynet = require "skynet"
require "skynet.manager"
local util = require "bench_util"

skynet.start(function()
	skynet.name("ANSWERER", skynet.newservice("bench_answerer"))
	skynet.name("LUASINK", skynet.newservice("bench_sink"))
	skynet.name("SINK", skynet.launch("bench_stream", "sink"))
	util.print("READY")
end)
