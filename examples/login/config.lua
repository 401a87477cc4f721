-- A login server, a game server behind it, and a client in plain Lua.
--
--     ./skynet examples/login/config.lua
--     lua examples/login/client.lua          in another terminal

harbor = 0 -- one node alone
start = "main" -- examples/login/main.lua
luaservice = "./service/?.lua;./examples/login/?.lua"

-- Keys of the example's own: its services read them with skynet.getenv.
login_host = "127.0.0.1"
login_port = 8001
game_host = "127.0.0.1"
game_port = 8888
