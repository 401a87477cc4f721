-- tls_user.lua: echoes lines over TLS. Config keys: tls_port, tls_certificate; tls_authorities if
-- clients have to show a certificate; tls_trusted, whom its own connections trust.
-- Lines that a client may say besides: "open PORT NAME" has it connect to that port of 127.0.0.1,
-- say "hello" and tell what came back or why nothing did; "info" tells what was agreed on; "reload"
-- reads the certificates again.
-- What has happened is logged: "secure", "refused REASON", "left".
local skynet = require("skynet")
local driver = require("skynet.socketdriver")
local socket = require("skynet.socket")

local function open(port, name)
	local options = { authorities = skynet.getenv("tls_trusted"), server_name = name }
	local id, reason = socket.open("127.0.0.1", tonumber(port), { tls = options })
	if not id then
		return "failed " .. reason
	end
	socket.write(id, "hello\n")
	local line = socket.readline(id)
	socket.close(id)
	return line and "got " .. line or "cut"
end

local function info(id)
	local found = driver.tls_info(id)
	return ("%s %s %s %s"):format(
		found.version,
		found.alpn or "-",
		found.server_name or "-",
		found.subject or "-"
	)
end

local function answer(id, line)
	local port, name = line:match("^open (%d+) (%S+)$")
	if port then
		return open(port, name)
	elseif line == "info" then
		return info(id)
	elseif line == "reload" then
		return tostring(driver.tls_reload())
	end
	return line
end

local function serve(id)
	local started, reason = socket.start(id)
	if not started then
		skynet.error("refused " .. reason)
		return
	end
	skynet.error("secure")
	local line = socket.readline(id)
	while line do
		socket.write(id, answer(id, line) .. "\n")
		line = socket.readline(id)
	end
	socket.close(id)
	skynet.error("left")
end

skynet.start(function()
	local tls = {
		certificate = skynet.getenv("tls_certificate"),
		authorities = skynet.getenv("tls_authorities"),
		alpn = { "lines", "other" },
	}
	local port = tonumber(skynet.getenv("tls_port"))
	local id = socket.listen("127.0.0.1", port, nil, { tls = tls })
	socket.start(id, serve)
	skynet.error("listening")
end)
