-- TLS from Lua: the options of skynet.socket and skynet.socketdriver, with real connections of one
-- service with itself. test/unit/socket_tls_test.c has the protocol. In real time, because that is
-- what certificates are valid in.
local skynet = require("skynet")
local driver = require("skynet.socketdriver")
local socket = require("skynet.socket")
local test = require("skynet.test")

local folder, here, there -- of the case that runs

--- Makes a certificate that is its own authority. Returns the file, with its key.
local function certificate(name, alternative)
	local file = ("%s/%s.pem"):format(folder, name)
	local command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
		.. " -subj /CN=%s -addext subjectAltName=%s -keyout %s.key -out %s 2>/dev/null"
		.. " && cat %s.key >>%s"
	assert(os.execute(command:format(name, alternative, file, file, file, file)))
	return file
end

--- A case with certificates of its own, which are removed at its end.
local function case(name, body)
	test.case(name, function()
		folder = os.tmpname()
		assert(os.remove(folder))
		assert(os.execute("mkdir " .. folder))
		here = certificate("here", "IP:127.0.0.1,DNS:here.test")
		there = certificate("there", "DNS:there.test")
		local ok, reason = xpcall(body, debug.traceback)
		assert(os.execute("rm -r " .. folder))
		if not ok then
			error(reason, 0)
		end
	end)
end

--- Two ends of a new connection. The near one may be nil, and then there is a reason.
local function connect(server, client, is_quiet)
	local far, reason
	local token = {}
	local listener, _, port = socket.listen("127.0.0.1", 0, nil, { tls = server })
	socket.start(listener, function(id)
		local started
		started, reason = socket.start(id)
		far = started or false
		skynet.wakeup(token)
	end)
	local near, why = socket.open("127.0.0.1", port, { tls = client, quiet = is_quiet })
	if far == nil then
		skynet.wait(token)
	end
	socket.close(listener)
	return near, far, why, reason
end

case("both ends agree, and text goes both ways", function()
	local near, far = connect(
		{ certificate = here, alpn = { "h2", "http/1.1" } },
		{ authorities = here, alpn = "http/1.1" }
	)
	socket.write(near, "there\n")
	test.equal(socket.readline(far), "there")
	socket.write(far, ("x"):rep(100000))
	test.equal(#socket.read(near, 100000), 100000)
	local info = driver.tls_info(near)
	test.equal(info.version, "TLSv1.3")
	test.equal(info.verified, true)
	test.equal(info.subject, "CN=here")
	test.equal(info.alpn, "http/1.1")
	test.equal(info.problem, nil)
	test.equal(driver.tls_info(far).verified, false)
	test.equal(driver.tls_info(far).subject, nil)
	socket.close(near)
	test.equal(socket.read(far), false)
	socket.close(far)
	test.equal(driver.tls_info(far), nil)
end)

case("who cannot be verified is refused, on both ends with a reason", function()
	local near, far, why, reason = connect({ certificate = here }, { authorities = there })
	test.equal(near, nil)
	test.matches(why, "^TLS: the peer's certificate is refused: ")
	test.equal(far, false)
	test.matches(reason, "^TLS: .*alert")
end)

case("a client that is refused when it is open already can tell why", function()
	local server, client = { certificate = here, authorities = there }, { authorities = here }
	local problem = "TLS: tlsv13 alert certificate required (the peer says so)"
	for _, is_quiet in ipairs({ true, false }) do
		local near, far = connect(server, client, is_quiet)
		test.equal(far, false)
		test.equal(socket.read(near), false)
		test.equal({ socket.disconnected(near) }, { true, problem })
		test.equal(#test.log("socket: error on %d+ TLS: "), is_quiet and 0 or 1)
		socket.close(near)
		test.equal({ socket.disconnected(near) }, {})
	end
end)

case("who does not speak TLS is told of", function()
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.start(listener, function(id)
		socket.start(id)
		socket.write(id, "220 welcome\r\n")
		socket.read(id)
		socket.close(id)
	end)
	local _, why = socket.open("127.0.0.1", port, { tls = true })
	test.equal(why, "TLS: wrong version number (the peer does not speak TLS)")
	socket.close(listener)
end)

case("a client may be told to verify a name, or nothing", function()
	local near, far = connect(
		{ certificate = { there, here } },
		{ authorities = here, server_name = "here.test", verify = true }
	)
	test.equal(driver.tls_info(far).server_name, "here.test")
	test.equal(driver.tls_info(near).subject, "CN=here")
	socket.close(near)
	socket.close(far)
	near, far = connect({ certificate = there }, { verify = false })
	test.equal(driver.tls_info(near).verified, false)
	socket.close(near)
	socket.close(far)
	near, far = connect({ certificate = there }, { authorities = here, verify = "optional" })
	test.equal(driver.tls_info(near).verified, false)
	test.matches(driver.tls_info(near).problem, "IP address mismatch")
	socket.close(near)
	socket.close(far)
end)

case("a client may have to show a certificate", function()
	local near, far = connect(
		{ certificate = here, authorities = there },
		{ authorities = here, certificate = there }
	)
	test.equal(driver.tls_info(far).subject, "CN=there")
	test.equal(driver.tls_info(far).verified, true)
	socket.close(near)
	socket.close(far)
end)

case("a file that is not there is told at once", function()
	local nowhere = { tls = { certificate = "/no" } }
	test.raises("Listen error", socket.listen, "127.0.0.1", 0, nil, nowhere)
	test.equal(socket.open("127.0.0.1", 1, { tls = { authorities = "/no" } }), nil)
	test.equal(driver.tls_reload(), 0)
end)

case("misuse is told with the name of the option", function()
	local function refused(pattern, tls)
		test.raises(pattern, driver.connect, "127.0.0.1", 1, { tls = tls })
	end
	refused("option 'tls' is a number, not true or a table", 1)
	refused("there is no tls option 'certifcate'", { certifcate = "x" })
	refused("tls.certificate is a number, not a text", { certificate = 1 })
	refused("tls.certificate%[2%] is a number, not a text", { certificate = { "x", 2 } })
	refused("tls.certificate is a table, not a text", { certificate = {} })
	refused("tls.verify is 'perhaps', not true, false or \"optional\"", { verify = "perhaps" })
	refused("tls.key has a zero byte in it", { key = "a\0b" })
	refused("the names of tls options are texts", { "x" })
	test.raises("false is no way to speak TLS", driver.secure, 1, "client", false)
	test.raises("invalid option 'friend'", driver.secure, 1, "friend")
	test.equal(driver.secure(99999999, "server", { certificate = here }), false)
end)

--- Two ends of a new connection without TLS.
local function connect_plainly()
	local near, far = connect(nil, nil)
	return near, far
end

case("a connection that is open can go on in TLS", function()
	local near, far = connect_plainly()
	local is_far_secured, is_over
	local token = {}
	skynet.fork(function()
		test.equal(socket.readline(far), "STARTTLS")
		socket.write(far, "go on\n")
		is_far_secured = socket.secure(far, "server", { certificate = here })
		socket.write(far, "welcome\n")
		is_over = true
		skynet.wakeup(token)
	end)
	socket.write(near, "STARTTLS\n")
	test.equal(socket.readline(near), "go on")
	local options = { authorities = here, server_name = "here.test" }
	test.equal(socket.secure(near, "client", options, 1000), near)
	test.equal(socket.readline(near), "welcome")
	if not is_over then
		skynet.wait(token)
	end
	test.equal(is_far_secured, far)
	test.equal(driver.tls_info(near).verified, true)
	socket.write(near, "protected")
	test.equal(socket.read(far, 9), "protected")
	socket.close(near)
	socket.close(far)
end)

case("bytes that came before TLS are not taken for protected ones", function()
	local near, far = connect_plainly()
	socket.write(far, "STARTTLS\nadmin\n")
	test.equal(socket.readline(near), "STARTTLS")
	local id, reason = socket.secure(near, "server", { certificate = here })
	test.equal(id, nil)
	test.matches(reason, "before TLS had begun")
	test.equal(socket.invalid(near), true)
	test.equal(socket.read(far), false)
	socket.close(far)
end)

case("a handshake that fails or does not come has an end", function()
	local near, far = connect_plainly()
	local id, reason = socket.secure(near, "server", { certificate = here }, 10)
	test.equal(id, nil)
	test.equal(reason, "timeout")
	test.equal(socket.read(far), false)
	socket.close(far)
	near, far = connect_plainly()
	skynet.fork(function()
		socket.write(far, "this is no TLS\n")
	end)
	id, reason = socket.secure(near, "server", { certificate = here })
	test.equal(id, nil)
	test.ok(reason)
	socket.close(far)
	test.raises("does not hold", socket.secure, near, "server", { certificate = here })
	test.raises("invalid option", function()
		near, far = connect_plainly()
		socket.secure(near, "friend", {})
	end)
end)

case("a handshake on an open connection that fails is its end", function()
	for _, role in ipairs({ "client", "server" }) do
		local near, far = connect_plainly()
		local ended = 0
		socket.onclose(near, function(id)
			test.equal(id, near)
			ended = ended + 1
		end)
		skynet.fork(function()
			skynet.sleep(1) -- not before the handshake has begun
			socket.write(far, "this is no TLS\n")
		end)
		test.equal(socket.secure(near, role, { certificate = here }), nil)
		socket.close(far)
		skynet.sleep(5)
		test.equal(ended, 1)
	end
end)
