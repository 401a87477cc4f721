-- Node 2: logs for all nodes. See config.lua for node 1.
--
--     ./skynet examples/nodes/config_log.lua

harbor = 2
master = "127.0.0.1:2013"
address = "127.0.0.1:2527"
start = "main_log"
luaservice = "./service/?.lua;./examples/nodes/?.lua"
