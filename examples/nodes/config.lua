-- Node 1 of the examples with several nodes, which is the master of the network, too. Lines on its
-- standard input start services:
--
--     ./skynet examples/nodes/config.lua
--     testharborlink                         (type this, or testmulticast)
--
-- Beside it, in another terminal: examples/nodes/config_log.lua or config_mc.lua.

harbor = 1
standalone = "127.0.0.1:2013" -- the master listens here
master = "127.0.0.1:2013"
address = "127.0.0.1:2526" -- the other nodes reach this one here
start = "console"
luaservice = "./service/?.lua;./examples/nodes/?.lua"
