-- The example server: a gate on port 8888 in front of a small database.
--
--     make run                       or   ./skynet examples/config.lua
--     ./client 127.0.0.1 8888        in another terminal
--
-- Everything not set here has its default; docs/config.md lists all keys.

harbor = 0 -- one node alone; no network of nodes
start = "main" -- examples/main.lua
luaservice = "./service/?.lua;./examples/?.lua"

-- Keys of the example's own: main.lua reads them with skynet.getenv.
gate_port = 8888 -- "127.0.0.1:8888" lets in clients of this machine only
gate_max = 1024 -- most clients at a time
