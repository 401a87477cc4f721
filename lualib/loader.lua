-- loader.lua: finds and runs the script of a Lua service. Config `lualoader` names this file; it
-- gets the service's launch parameter, "NAME ARGUMENT ...", as one text.

local parameter = ...
local getenv <const> = require("skynet.engine").getenv
local search <const> = require("skynet.codecache").search

local words = {}
for word in parameter:gmatch("%S+") do
	words[#words + 1] = word
end
local name <const> = words[1]

local script, template, path = search(name, getenv("luaservice"))
if not script then
	local text = "can't load the Lua service '%s' (config key luaservice):\n\t%s"
	error(text:format(name, template), 0)
end

SERVICE_NAME = name
-- A template such as "x/?/init.lua" stands for a folder with modules of its own.
local last = template:match("[^/\\]*$")
if last:find("?", 1, true) then
	SERVICE_PATH = template:match("^[^?]*[/\\]") or ""
else
	SERVICE_PATH = path:sub(1, -1 - #last)
	package.path = SERVICE_PATH .. "?.lua;" .. package.path
end

local preload <const> = getenv("preload")
if preload then
	assert(loadfile(preload))(table.unpack(words))
end

script(table.unpack(words, 2))
