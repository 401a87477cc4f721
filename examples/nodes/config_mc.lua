-- Node 2: uses the channel that testmulticast has made on node 1. See config.lua for that one.
--
--     ./skynet examples/nodes/config_mc.lua

harbor = 2
master = "127.0.0.1:2013"
address = "127.0.0.1:2527"
start = "testmulticast2"
luaservice = "./service/?.lua;./examples/nodes/?.lua"
