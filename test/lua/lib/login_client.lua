--- The client's side of the login dialogue.
local crypt = require("skynet.crypt")
local socket = require("skynet.socket")
local check = require("check")

---@class login_client
---@field id integer
---@field private string
---@field challenge string?
---@field secret string?
local login_client = {}
login_client.__index = login_client

---@param port integer
---@param options? table of socket.open
---@return login_client
function login_client.connect(port, options)
	local id = assert(socket.open("127.0.0.1", port, options))
	socket.nodelay(id) -- what is written is there at once, and virtual time does not jump
	return setmetatable({ id = id, private = crypt.randomkey() }, login_client)
end

--- Sends a line of bytes.
function login_client:send(bytes)
	self:send_raw(crypt.base64encode(bytes) .. "\n")
end

function login_client:send_raw(text)
	check.equal(socket.write(self.id, text), true)
end

--- The next line, false if the connection has ended.
function login_client:line()
	return (socket.readline(self.id, "\n"))
end

--- Up to the common secret.
function login_client:exchange()
	self.challenge = crypt.base64decode(assert(self:line(), "a challenge"))
	check.equal(#self.challenge, 8)
	self:send(crypt.dhexchange(self.private))
	self.secret = crypt.dhsecret(crypt.base64decode(assert(self:line())), self.private)
end

--- The proof that it has the secret.
function login_client:proof()
	return crypt.hmac64(self.challenge, self.secret)
end

--- The whole dialogue, with this token. Returns the last line.
function login_client:login(token)
	self:exchange()
	self:send(self:proof())
	self:send(crypt.desencode(self.secret, token))
	return self:finish()
end

--- The last line, behind which the connection ends.
function login_client:finish()
	local line = self:line()
	check.equal(self:line(), false, "the connection ends")
	self:close()
	return line
end

function login_client:close()
	socket.close(self.id)
end

return login_client
