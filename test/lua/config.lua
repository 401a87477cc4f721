-- The node that runs one file of Lua tests:
--     skynet test/lua/config.lua --set start="test_runner FILE"
local build = "$SKYNET_BUILD"

thread = 2
harbor = 0
cpath = build .. "/cservice/?.so;" .. build .. "/test/cservice/?.so"
lua_cpath = build .. "/luaclib/?.so"
lua_path = "./lualib/?.lua;./lualib/?/init.lua;./test/lua/lib/?.lua"
luaservice = "./test/lua/service/?.lua;./service/?.lua;./examples/?.lua"
start = "test_runner"
logservice = "snlua"
logger = "test_log"
