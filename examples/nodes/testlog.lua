-- testlog WORDS: sends its words to the log of all nodes, which config_log.lua starts. From the
-- console of node 1.
local skynet = require("skynet")

local words = { ... }

skynet.start(function()
	skynet.send("LOG", "lua", table.unpack(words))
	skynet.exit()
end)
