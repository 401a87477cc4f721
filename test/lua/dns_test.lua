-- skynet.dns in virtual time: deadlines, how long answers hold, and bounds. How it speaks with name
-- servers is the part of test/e2e/dns_test.py.
local skynet = require("skynet")
local socket = require("skynet.socket")
local cache = require("skynet.dns.cache")
local dns = require("skynet.dns")
local test = require("skynet.test")
local check = require("check")
local datagrams = require("datagrams")
local tasks = require("tasks")

local case <const> = test.case
local S <const> = 100
local HOUR <const> = 3600 * S
local DAY <const> = 24 * HOUR

dns.DEFAULT_HOSTS = nil
dns.DEFAULT_RESOLV_CONF = "/dev/null" -- no search list

--- A name server: answers 10.0.0.N to the N-th question, to hold for ttl_s. Returns a table with
--- the number of questions; is_silent in it makes it silent.
local function serve(ttl_s)
	local state = { count = 0 }
	local id, port
	id, port = datagrams.listen(socket.udp_listen, function(data, from)
		state.count = state.count + 1
		if state.is_silent then
			return
		end
		-- The head, the question, and a record whose name is a pointer to the question's.
		local head = data:sub(1, 2) .. string.pack(">I2I2I2I2I2", 0x8180, 1, 1, 0, 0)
		local question = data:match("^[^\0]*\0....", 13)
		local address = string.char(10, 0, 0, state.count)
		local record = string.pack(">I2I2I2I4s2", 0xC00C, 1, 1, ttl_s, address)
		socket.sendto(id, from, head .. question .. record)
	end)
	dns.server("127.0.0.1", port)
	return state
end

case("a silent server has thirty seconds", function()
	serve(60).is_silent = true
	local begin_cs = skynet.now()
	local ok, text = pcall(dns.resolve, "game.example.com")
	check.equal(ok, false)
	check.matches(text, "timeout or no answer: game.example.com: nothing within 30.00 s")
	check.equal(skynet.now() - begin_cs, 30 * S)
end)

case("another server is asked even for a name that is under way", function()
	serve(60).is_silent = true
	local finish = tasks.begin(dns.resolve, "moved.example.com", false, 10 * S)
	skynet.sleep(S)
	serve(60)
	check.equal((dns.resolve("moved.example.com", false, S)), "10.0.0.1")
	finish()
	check.equal((dns.resolve("moved.example.com")), "10.0.0.1")
end)

case("each task has its own deadline, and all share the question", function()
	local state = serve(60)
	state.is_silent = true
	local begin_cs = skynet.now()
	local function ask(limit_cs)
		return function()
			local ok = pcall(dns.resolve, "game.example.com", false, limit_cs)
			return ok, skynet.now() - begin_cs
		end
	end
	local results = tasks.together(ask(50), ask(10), ask(100))
	check.equal({ results[1][2], results[1][3] }, { false, 50 })
	check.equal({ results[2][2], results[2][3] }, { false, 10 })
	check.equal({ results[3][2], results[3][3] }, { false, 100 })
	check.equal(state.count, 1)
end)

case("an answer holds as long as it says, and then is asked for again", function()
	local state = serve(60)
	check.equal(dns.resolve("game.example.com"), "10.0.0.1")
	skynet.sleep(59 * S)
	check.equal(dns.resolve("game.example.com"), "10.0.0.1")
	skynet.sleep(2 * S)
	check.equal(dns.resolve("game.example.com"), "10.0.0.2")
	check.equal(state.count, 2)
end)

case("no answer holds for longer than a day", function()
	serve(0x7FFFFFFF)
	check.equal(dns.resolve("game.example.com"), "10.0.0.1")
	skynet.sleep(DAY - S)
	check.equal(dns.resolve("game.example.com"), "10.0.0.1")
	skynet.sleep(2 * S)
	check.equal(dns.resolve("game.example.com"), "10.0.0.2")
end, { deadline = 3 * DAY })

case("a stale answer is good for a day while the server is silent", function()
	local state = serve(60)
	check.equal(dns.resolve("game.example.com"), "10.0.0.1")
	state.is_silent = true
	skynet.sleep(23 * HOUR)
	check.equal(dns.resolve("game.example.com"), "10.0.0.1")
	check.ok(state.count > 1, "it was asked first")
	skynet.sleep(2 * HOUR)
	check.equal((pcall(dns.resolve, "game.example.com")), false)
end, { deadline = 3 * DAY })

case("the list is the caller's own", function()
	serve(60)
	local _, all = dns.resolve("game.example.com")
	all[1] = "changed"
	check.equal(dns.resolve("game.example.com"), "10.0.0.1")
end)

case("a thousand names may be asked for at once, more raise", function()
	local state = serve(60)
	state.is_silent = true
	for i = 1, 1000 do
		skynet.fork(pcall, dns.resolve, ("n%d.example.com"):format(i), false, 1 * S)
	end
	skynet.yield()
	check.raises("too many names are being looked up", dns.resolve, "one.more.example.com")
	-- But what is being asked for already does not count.
	local _, text = pcall(dns.resolve, "n1.example.com", false, 50)
	check.matches(text, "nothing within 0.50 s")
end)

case("the cache keeps what is used, and has a bound", function()
	local names = cache.new()
	names:put("used", { "10.0.0.1" }, 60)
	for i = 1, 100000 do
		names:put("n" .. i, { "10.0.0.2" }, 60)
		if i % 500 == 0 then
			check.ok(names:fresh("used"), i)
		end
	end
	local count = 0
	for i = 1, 100000 do
		count = count + (names:stale("n" .. i) and 1 or 0)
	end
	check.ok(count >= 1000 and count <= 2048, count)
	check.equal(names:fresh("n1"), nil)
	names:forget("n100000")
	check.equal(names:stale("n100000"), nil)
end)
