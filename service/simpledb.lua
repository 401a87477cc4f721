-- simpledb.lua: a small database in memory, known as ".simpledb": texts under keys.
--
-- Two ways to ask, with the commands in any case:
--   "lua"    get, KEY -> the value or nil           set, KEY, VALUE -> the former value or nil
--            ping, TEXT: logs the text
--   "text"   "get KEY" -> the value, or nothing     "set KEY VALUE" -> the former value, or nothing
--            anything else -> "Invalid command : " and the line
-- In text a KEY has no blanks; a VALUE is the rest of the line.
local skynet = require("skynet")
require("skynet.manager")

-- What keys and values may take together, in bytes: clients write here.
local BYTES_MAX <const> = 256 * 1024 * 1024
-- What an entry costs besides its bytes, about.
local ENTRY_BYTES <const> = 100
local PING_CHARACTERS <const> = 20

local values = {}
local used_bytes = 0

local function cost(key, value)
	return value and #key + #value + ENTRY_BYTES or 0
end

local command = {}

function command.get(key)
	return values[key]
end

function command.set(key, value)
	key, value = tostring(key), value ~= nil and tostring(value) or nil
	local former = values[key]
	local bytes = used_bytes - cost(key, former) + cost(key, value)
	if bytes > BYTES_MAX then
		error("the database is full: " .. BYTES_MAX .. " bytes", 0)
	end
	values[key] = value
	used_bytes = bytes
	return former
end

function command.ping(text)
	text = tostring(text)
	if #text > PING_CHARACTERS then
		text = text:sub(1, PING_CHARACTERS) .. "...(" .. #text .. ")"
	end
	skynet.error("ping " .. text)
end

-- Runs a line of text. Returns the answer.
local function run_line(line)
	local name, rest = line:match("^%s*(%a+)%s+(.-)%s*$")
	name = name and name:lower()
	if name == "get" and rest ~= "" and not rest:find("%s") then
		return command.get(rest) or ""
	end
	local key, value = (rest or ""):match("^(%S+)%s+(.+)$")
	if name ~= "set" or not key then
		return "Invalid command : " .. line
	end
	local ok, former = pcall(command.set, key, value)
	if not ok then
		return "Error : " .. former
	end
	return former or ""
end

skynet.register_protocol({
	name = "text",
	id = skynet.PTYPE_TEXT,
	pack = tostring,
	unpack = skynet.tostring,
})

skynet.start(function()
	skynet.dispatch("lua", function(session, _, name, ...)
		local run = command[tostring(name):lower()]
		if not run then
			error("Unknown command " .. tostring(name))
		end
		local result = run(...)
		if session ~= 0 then
			skynet.retpack(result)
		end
	end)
	skynet.dispatch("text", function(_, _, line)
		skynet.ret(run_line(line))
	end)
	skynet.register(".simpledb")
end)
