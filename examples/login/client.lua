-- client.lua [HOST [LOGIN_PORT [GAME_PORT [USER [PASSWORD]]]]]: logs in, and shows what happens to
-- a request whose connection is lost before it is answered. For the stock Lua:
--
--     lua examples/login/client.lua
package.cpath = (os.getenv("LUACLIB") or "luaclib") .. "/?.so;" .. package.cpath

local socket = require("client.socket")
local crypt = require("client.crypt")

local host <const> = arg[1] or "127.0.0.1"
local login_port <const> = tonumber(arg[2] or 8001)
local game_port <const> = tonumber(arg[3] or 8888)
local user <const> = arg[4] or "hello"
local password <const> = arg[5] or "password"
local server <const> = "sample"

-- --- a connection, and what has come from it -------------------------------------------------

local connection = {}
connection.__index = connection

local function connect(port)
	return setmetatable({ fd = socket.connect(host, port), received = "" }, connection)
end

--- Waits until `take(received)` gives what it wants and the rest.
function connection:read(take)
	while true do
		local result, rest = take(self.received)
		if result then
			self.received = rest
			return result
		end
		local bytes = socket.recv(self.fd)
		if bytes == "" then
			error("Server closed", 0)
		elseif bytes then
			self.received = self.received .. bytes
		else
			socket.usleep(1000)
		end
	end
end

function connection:close()
	print("disconnect")
	socket.close(self.fd)
end

-- --- the login server: lines, in base64 ------------------------------------------------------

function connection:write_line(bytes)
	socket.send(self.fd, crypt.base64encode(bytes) .. "\n")
end

function connection:read_line()
	return self:read(function(text)
		return text:match("^(.-)\n(.*)$")
	end)
end

--- Returns the secret and the subid.
local function login()
	local encode <const> = crypt.base64encode
	local login_server = connect(login_port)
	local challenge = crypt.base64decode(login_server:read_line())
	local private = crypt.randomkey()
	login_server:write_line(crypt.dhexchange(private))
	local secret = crypt.dhsecret(crypt.base64decode(login_server:read_line()), private)
	print("sceret is ", crypt.hexencode(secret))
	login_server:write_line(crypt.hmac64(challenge, secret))
	local token = ("%s@%s:%s"):format(encode(user), encode(server), encode(password))
	login_server:write_line(crypt.desencode(secret, token))
	local result = login_server:read_line()
	print(result)
	socket.close(login_server.fd)
	if result:sub(1, 4) ~= "200 " then
		os.exit(1)
	end
	return secret, crypt.base64decode(result:sub(5))
end

-- --- the game server: packets with a length in front ------------------------------------------

function connection:write_packet(packet)
	socket.send(self.fd, (">s2"):pack(packet))
end

function connection:read_packet()
	return self:read(function(bytes)
		local size = #bytes >= 2 and (">I2"):unpack(bytes)
		if size and #bytes >= 2 + size then
			return bytes:sub(3, 2 + size), bytes:sub(3 + size)
		end
	end)
end

function connection:request(content, session)
	print("===>", content, session)
	self:write_packet(content .. (">I4"):pack(session))
end

function connection:response()
	local packet = self:read_packet()
	local ok, session = (">BI4"):unpack(packet, -5)
	print("<===", ok == 1, packet:sub(1, -6), session)
end

local secret, subid = login()
print("login ok, subid=", subid)

local function enter(index)
	local encode <const> = crypt.base64encode
	local name = ("%s@%s#%s:%d"):format(encode(user), encode(server), encode(subid), index)
	local game_server = connect(game_port)
	game_server:write_packet(name .. ":" .. encode(crypt.hmac_hash(secret, name)))
	print(game_server:read_packet())
	return game_server
end

print("connect")
local first = enter(1)
first:request("echo", 0)
first:close() -- before the answer

print("connect again")
local second = enter(2)
second:request("fake", 0) -- the session that was used before: the former request is answered
second:request("again", 1)
second:response()
second:response()
second:close()
