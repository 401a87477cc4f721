--- The library of every Lua service. The functions of the hot paths are written in C; the rest is
--- loaded when it is first touched, so that a service pays only for what it uses.
--- meta/skynet.lua declares all of it, for editors and readers.
---@class skynet
local skynet = require("skynet.engine")

skynet.PTYPE_TEXT = 0
skynet.PTYPE_RESPONSE = 1
skynet.PTYPE_MULTICAST = 2
skynet.PTYPE_CLIENT = 3
skynet.PTYPE_SYSTEM = 4
skynet.PTYPE_HARBOR = 5
skynet.PTYPE_SOCKET = 6
skynet.PTYPE_ERROR = 7
skynet.PTYPE_QUEUE = 8
skynet.PTYPE_DEBUG = 9
skynet.PTYPE_LUA = 10
skynet.PTYPE_SNAX = 11
skynet.PTYPE_TRACE = 12

skynet.pcall = pcall

return skynet
