-- printer.lua: prints lines and logs others, in turn with more of its kind. Argument: one of them.
local skynet = require("skynet")

local mode = ...
local PRINTERS <const>, LINES <const> = 6, 200

skynet.start(function()
	if mode == "one" then
		local filler = ("-"):rep(40)
		skynet.fork(function()
			for i = 1, LINES do
				print("printed", i, filler, nil, true)
				skynet.error("logged", i)
				skynet.yield()
			end
			skynet.exit()
		end)
	else
		for _ = 1, PRINTERS do
			skynet.newservice(SERVICE_NAME, "one")
		end
	end
end)
