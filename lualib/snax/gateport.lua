--- A port with a gate in C behind it, for services in Lua that own one: the service `gate`, and
--- snax.gateserver. The gate listens, cuts what clients send into frames, and sends them where they
--- belong; it speaks "lua" (service-src/gate/tell.c), and ends with its owner.
local skynet = require("skynet")
require("skynet.manager")

local gateport = {}

--- What `open` of a gate takes.
---@class snax.gateport.conf
---@field address string? "0.0.0.0"; also "unix:/path"
---@field port integer? 0: any free one
---@field maxclient integer? most connections at a time, 1024
---@field backlog integer? means nothing, as of skynet.socket.listen
---@field nodelay boolean? false: small pieces wait for more
---@field framing string? how frames are told apart, "u16be"
---@field max_frame integer? bytes of the longest frame
---@field delimiter string? of the framing "delimiter"
---@field empty boolean? false: empty frames are skipped
---@field shares_port boolean? others may listen on the same port
---@field tls table<string, string|boolean|string[]>? as of skynet.socket.listen
---@field request boolean? tell of the requests that websockets begin with

--- A value as the launch text of the gate has it.
local function encode(value)
	if type(value) == "boolean" then
		return value and "1" or "0"
	end
	return (tostring(value):gsub("[%%%s%c]", function(byte)
		return ("%%%02x"):format(byte:byte())
	end))
end

--- The options that go to the gate as they are, and the types of their values.
local OPTIONS <const> = {
	{ "backlog", "number" },
	{ "nodelay", "boolean" },
	{ "max_frame", "number" },
	{ "delimiter", "string" },
	{ "empty", "boolean" },
	{ "shares_port", "boolean" },
	{ "request", "boolean" },
}

--- The field of a conf; raises if it has another type.
local function field(conf, name, expected, default)
	local value = conf[name]
	if value == nil then
		return default
	elseif type(value) ~= expected then
		local text = "bad field '%s': %s expected, got %s"
		error(text:format(name, expected, type(value)), 0)
	end
	return value
end

local function number_field(conf, name, default)
	local value = math.tointeger(tonumber(conf[name] == nil and default or conf[name]))
	if not value then
		local text = "bad field '%s': a number expected, got %s"
		error(text:format(name, tostring(conf[name])), 0)
	end
	return value
end

--- Where to listen, as the gate reads it.
local function binding_of(conf)
	local address = field(conf, "address", "string", "0.0.0.0")
	if address == "" or address:find("%s") then
		error(("bad field 'address': \"%s\""):format(address), 0)
	elseif address:find("^unix:") then
		return address
	end
	local port = number_field(conf, "port")
	return (address:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(address, port)
end

--- The words of an option, or nothing.
local function add_options(words, conf)
	for _, option in ipairs(OPTIONS) do
		local name, expected = option[1], option[2]
		local value = conf[name]
		if expected == "number" and value ~= nil then
			value = number_field(conf, name)
		else
			value = field(conf, name, expected)
		end
		if value ~= nil then
			words[#words + 1] = name .. "=" .. encode(value)
		end
	end
end

--- A list of texts as one text; nil, if it is none.
local function joined(list)
	for _, text in ipairs(list) do
		if type(text) ~= "string" then
			return nil
		end
	end
	return list[1] and table.concat(list, ",")
end

--- The words of the options of TLS.
local function add_tls(words, tls)
	for name, value in pairs(tls) do
		if type(name) ~= "string" or not name:find("^[%w_]+$") then
			error(("bad field 'tls': it has no option %s"):format(tostring(name)), 0)
		end
		local text = type(value) == "table" and joined(value) or value
		if type(text) ~= "string" and type(text) ~= "boolean" then
			local expected = "a text, a list of texts or a boolean"
			local problem = "bad field 'tls.%s': %s expected, got %s"
			error(problem:format(name, expected, type(value)), 0)
		end
		words[#words + 1] = ("tls.%s=%s"):format(name, encode(tostring(text)))
	end
end

--- Opens a port. Nobody is accepted before the gate is told `start`. Raises what is wrong with
--- conf, and when the port can't be had. Waits.
---@param conf snax.gateport.conf
---@param watchdog skynet.address who is told of connections
---@param tag integer type of the messages that carry frames
---@param options string further options of the gate
---@return integer gate its address; it takes commands of type "lua"
---@return string ip where it listens
---@return integer port
function gateport.open(conf, watchdog, tag, options)
	if type(conf) ~= "table" then
		error("bad argument 'conf': table expected, got " .. type(conf), 0)
	end
	local words = {
		field(conf, "framing", "string", "u16be"),
		type(watchdog) == "string" and watchdog or skynet.address(watchdog),
		binding_of(conf),
		tag,
		number_field(conf, "maxclient", 1024),
		"dialect=lua",
		"waits=1",
		"owner=" .. skynet.address(skynet.self()),
		options,
	}
	add_options(words, conf)
	add_tls(words, field(conf, "tls", "table", {}))
	local gate = skynet.launch("gate", table.concat(words, " "))
	if not gate then
		error(("Listen error: %s (the reason is in the log)"):format(binding_of(conf)), 0)
	end
	-- It answers or ends. Without an answer it would be closed though it listens.
	local ok, where = pcall(skynet.call_within, false, gate, "lua", "address")
	if not ok then
		skynet.send(gate, "lua", "close")
		error(("Listen error: %s: %s"):format(binding_of(conf), where), 0)
	end
	local ip, port = where:match("^(.*) (%d+)$")
	return gate, ip, math.tointeger(port)
end

return gateport
