-- loader.lua: finds and runs the script of a Lua service. Config `lualoader` names this file; it
-- gets the service's launch parameter, "NAME ARGUMENT ...", as one text.

local parameter = ...
local getenv <const> = require("skynet.engine").getenv

local words = {}
for word in parameter:gmatch("%S+") do
	words[#words + 1] = word
end

local name <const> = words[1]

--- Loads the first template that has a file for the name.
---@return function chunk
---@return string template the one that matched
local function load_script()
	local errors = {}
	for template in getenv("luaservice"):gmatch("[^;]+") do
		local path = template:gsub("?", (name:gsub("%%", "%%%%")))
		local chunk, reason = loadfile(path)
		if chunk then
			return chunk, template
		end
		errors[#errors + 1] = reason
	end
	local text = "can't load the Lua service '%s' (config key luaservice):\n%s"
	error(text:format(name, table.concat(errors, "\n")), 0)
end

local script, template = load_script()

SERVICE_NAME = name
-- A template such as "x/?/init.lua" stands for a folder with modules of its own.
local folder, last = template:match("^(.*[/\\])([^/\\]*)$")
folder, last = folder or "", last or template
if last:find("?", 1, true) then
	SERVICE_PATH = folder:match("^[^?]*") or ""
else
	SERVICE_PATH = folder:gsub("?", (name:gsub("%%", "%%%%")))
	package.path = SERVICE_PATH .. "?.lua;" .. package.path
end

local preload <const> = getenv("preload")
if preload then
	assert(loadfile(preload))(table.unpack(words))
end

script(table.unpack(words, 2))
