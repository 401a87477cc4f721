-- The settings of the nodes that run the Lua tests: SKYNET_BUILD=build/plain build/plain/skynet
-- --test --config test/lua/config.lua FILE
local build = "$SKYNET_BUILD"

thread = 2 -- of those with --real
harbor = 0
waiterlimit = 500 -- so that tests reach it
cpath = build .. "/cservice/?.so;" .. build .. "/test/cservice/?.so"
lua_cpath = build .. "/luaclib/?.so;" .. build .. "/test/cservice/?.so"
lua_path = "./lualib/?.lua;./lualib/?/init.lua;./test/lua/lib/?.lua"
luaservice = "./test/lua/service/?.lua;./service/?.lua;./examples/?.lua"
