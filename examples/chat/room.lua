-- room.lua: a chat room. The first line of a guest is its name; all guests get what it says then.
--
-- A door is a port, with a gate that cuts what comes into lines. The gates tell this service, their
-- watchdog, of all guests (docs/gate-lua.md):
--
--     gate -> room     "socket", "open", 7, "127.0.0.1:40122"
--     room -> gate     "accept", 7                           read it
--     gate -> room     "socket", "data", 7, "hello"          a line, or a message of a websocket
--     gate -> room     "socket", "close", 7                  once for each open
--     room -> gate     "kick", 7                             nothing more goes out
--
-- What a guest does not read waits for it up to the limit of sockets; then its connection ends.
local skynet = require("skynet")
local socket = require("skynet.socket")

local LINE_MAX <const> = 1000 -- bytes of a line; a longer one ends its connection
local NAME_MAX <const> = 32

-- How a text goes out through each kind of door.
local frame = {}

function frame.line(text)
	return text .. "\n"
end

-- A message of the kind text: 0x81, then its length in 1 byte, or 126 and 2 bytes (RFC 6455).
function frame.websocket(text)
	if #text < 126 then
		return string.pack(">Bs1", 0x81, text)
	end
	return string.pack(">BBs2", 0x81, 126, text)
end

-- The framing of each gate.
local framing_of = {}
-- id of the connection -> { gate, framing, name: nil before its first line }
local guests = {}

-- To one guest.
local function tell(id, text)
	socket.write(id, frame[guests[id].framing](text))
end

-- To all who have a name. The bytes are kept once for each kind of door, however many get them.
local function say(text)
	local ids = { line = {}, websocket = {} }
	for id, guest in pairs(guests) do
		if guest.name then
			table.insert(ids[guest.framing], id)
		end
	end
	for framing, list in pairs(ids) do
		socket.broadcast(list, frame[framing](text))
	end
end

-- Browsers accept UTF-8 only, and a terminal obeys control characters.
local function is_text(line)
	return utf8.len(line) and not line:find("%c")
end

local function is_free_name(name)
	for _, guest in pairs(guests) do
		if guest.name == name then
			return false
		end
	end
	return #name >= 1 and #name <= NAME_MAX
end

local on = {}

function on.open(gate, id)
	guests[id] = { gate = gate, framing = framing_of[gate] }
	tell(id, "Welcome. Your name?")
	skynet.send(gate, "lua", "accept", id)
end

function on.data(_, id, line)
	local guest = guests[id]
	if not is_text(line) then
		tell(id, "This is no text.")
	elseif guest.name then
		say(guest.name .. ": " .. line)
	elseif not is_free_name(line) then
		tell(id, "Another name, please.")
	else
		guest.name = line
		say(line .. " has come")
	end
end

function on.close(gate, id)
	local name = guests[id].name
	guests[id] = nil
	skynet.send(gate, "lua", "kick", id)
	if name then
		say(name .. " has left")
	end
end

local function open_door(framing, port, tls)
	local gate = skynet.newservice("gate")
	framing_of[gate] = framing
	local ip, bound_port = skynet.call(gate, "lua", "open", {
		address = skynet.getenv("chat_address"),
		port = port,
		framing = framing,
		max_frame = LINE_MAX,
		tls = tls,
	})
	local text = "Guests are welcome at %s %d: %s%s"
	skynet.error(text:format(ip, bound_port, framing, tls and " in TLS" or ""))
end

skynet.start(function()
	skynet.dispatch("lua", function(_, gate, _, event, ...)
		if on[event] then
			on[event](gate, ...)
		end
	end)
	open_door("line", skynet.getenv("chat_line_port"))
	open_door("websocket", skynet.getenv("chat_websocket_port"))
	local certificate = skynet.getenv("chat_certificate")
	if certificate then
		local tls = { certificate = certificate, key = skynet.getenv("chat_key") }
		open_door("line", skynet.getenv("chat_tls_port"), tls)
	end
end)
