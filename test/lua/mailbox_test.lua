-- Bounds of mailboxes: what senders get when one is full, and who is told that it grows.
-- A service fills its own mailbox here: while its task runs, nothing is taken out.
local skynet = require("skynet")
local check = require("check")
local child = require("child")
local log = require("log")
local test = require("skynet.test")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- "fill" sends so many messages to itself and returns what each send gave. "count" tells how many
--- have come, "set" sets the bounds.
local function vessel()
	local arrived = 0
	local order = {}
	local marks = {}
	local command = {}

	function command.set(options)
		if options.marks then
			function options.overload(length)
				marks[#marks + 1] = length
			end
			options.marks = nil
		end
		skynet.mailbox(options)
		skynet.retpack()
	end

	function command.fill(count)
		local results = {}
		for i = 1, count do
			results[i] = skynet.send(skynet.self(), "lua", "drop_in", i)
		end
		skynet.retpack(results, skynet.stat("refused"))
	end

	function command.fill_and_call(count)
		for i = 1, count do
			skynet.send(skynet.self(), "lua", "drop_in", i)
		end
		skynet.retpack(pcall(skynet.call, skynet.self(), "lua", "count"))
	end

	function command.fill_and_ask(count, other)
		for i = 1, count do
			skynet.send(skynet.self(), "lua", "drop_in", i)
		end
		skynet.retpack(skynet.call(other, "lua", "count"))
	end

	function command.drop_in(i)
		arrived = arrived + 1
		order[arrived] = i
	end

	function command.count()
		skynet.retpack(arrived, order)
	end

	function command.refused()
		skynet.retpack(skynet.stat("refused"))
	end

	function command.marks()
		skynet.retpack(marks)
	end

	skynet.start(function()
		skynet.dispatch("lua", function(_, _, name, ...)
			command[name](...)
		end)
	end)
end

--- Calls a service whose mailbox may still be full.
local function ask(service, ...)
	local answer = table.pack(pcall(skynet.call, service, "lua", ...))
	while not answer[1] do
		check.matches(answer[2], "its mailbox is full$")
		skynet.yield()
		answer = table.pack(pcall(skynet.call, service, "lua", ...))
	end
	return table.unpack(answer, 2, answer.n)
end

local function numbers(n)
	local list = {}
	for i = 1, n do
		list[i] = i
	end
	return list
end

case("without_a_limit_any_number_waits", function()
	local service = child.start(vessel)
	for _, result in ipairs(skynet.call(service, "lua", "fill", 3000)) do
		check.equal(result, 0)
	end
	check.equal(skynet.call(service, "lua", "count"), 3000)
	check.equal(skynet.call(service, "lua", "refused"), 0)
	skynet.kill(service)
end)

case("a_full_mailbox_takes_no_more", function()
	local service = child.start(vessel)
	skynet.call(service, "lua", "set", { limit = 5 })
	local results, refused = skynet.call(service, "lua", "fill", 8)
	check.equal(results, { 0, 0, 0, 0, 0, false, false, false })
	check.equal(refused, 3)
	check.equal(ask(service, "count"), 5)
	skynet.kill(service)
end)

case("a_call_to_a_full_mailbox_fails_at_once", function()
	local service = child.start(vessel)
	for _, policy in ipairs({ "error", "drop" }) do
		ask(service, "set", { limit = 3, policy = policy })
		local ok, text = skynet.call(service, "lua", "fill_and_call", 3)
		check.equal(ok, false)
		check.matches(text, "call failed: snlua script .- %(:%x+%): its mailbox is full$")
	end
	skynet.kill(service)
end)

case("what_is_dropped_is_counted", function()
	local service = child.start(vessel)
	skynet.call(service, "lua", "set", { limit = 5, policy = "drop" })
	local results, refused = skynet.call(service, "lua", "fill", 7)
	check.equal(results, { 0, 0, 0, 0, 0, 0, 0 })
	check.equal(refused, 2)
	check.equal(ask(service, "count"), 5)
	skynet.kill(service)
end)

case("who_has_to_wait_sends_in_order_and_all_arrive", function()
	local service = child.start(vessel)
	skynet.call(service, "lua", "set", { limit = 5, policy = "block" })
	for _, result in ipairs(skynet.call(service, "lua", "fill", 100)) do
		check.equal(result, 0)
	end
	local arrived, order = skynet.call(service, "lua", "count")
	check.equal(arrived, 100)
	check.equal(order, numbers(100))
	check.equal(skynet.call(service, "lua", "refused"), 0)
	-- A call waits in the same way.
	local ok, count = skynet.call(service, "lua", "fill_and_call", 23)
	check.equal(ok, true)
	check.equal(count, 123)
	skynet.kill(service)
end)

case("every_way_to_send_waits", function()
	local service = child.start(function()
		local got = {}
		skynet.register_protocol({
			name = "text",
			id = skynet.PTYPE_TEXT,
			pack = function(text)
				return text
			end,
			unpack = skynet.tostring,
			dispatch = function(session, _, text)
				got[#got + 1] = text
				if session ~= 0 then
					skynet.ret(text .. "!")
				end
			end,
		})
		skynet.start(function()
			skynet.mailbox({ limit = 1, policy = "block" })
			skynet.dispatch("lua", function()
				local self <const> = skynet.self()
				local pack <const> = skynet.packstring
				skynet.send(self, "text", "1")
				skynet.send(self, "text", "2")
				skynet.rawsend(self, "text", "3")
				local block, size = skynet.pack("4")
				skynet.rawsend(self, "text", block, size)
				skynet.redirect(self, 0, "text", 0, "5")
				table.insert(got, (skynet.call(self, "text", "6")))
				skynet.send(self, "text", "7")
				local answer = skynet.rawcall(self, "text", "8")
				table.insert(got, skynet.tostring(answer, 2))
				skynet.send(self, "text", "9")
				table.insert(got, (skynet.call_within(1000, self, "text", "10")))
				local is_packed = got[4] == pack("4")
				got[4] = "4"
				skynet.retpack(got, is_packed)
			end)
		end)
	end)
	local got, is_packed = skynet.call(service, "lua")
	check.equal(table.concat(got, " "), "1 2 3 4 5 6 6! 7 8 8! 9 10 10!")
	check.ok(is_packed)
	skynet.kill(service)
end)

--- A service that fills the mailbox of another one, and then waits for room in it.
local function pusher()
	local core = require("skynet.core") -- luacheck: ignore
	local command = {}

	function command.call_within(cs, target)
		return pcall(skynet.call_within, cs, target, "lua", "count")
	end

	function command.send(cs, target)
		skynet.call_timeout(cs)
		return skynet.send(target, "lua", "drop_in", 2)
	end

	function command.rawsend(cs, target)
		skynet.call_timeout(cs)
		return skynet.rawsend(target, "lua", skynet.pack("drop_in", 2))
	end

	function command.redirect(cs, target)
		skynet.call_timeout(cs)
		return skynet.redirect(target, 0, "lua", 0, skynet.pack("drop_in", 2))
	end

	function command.of_core(_, target)
		return core.send(target, skynet.PTYPE_LUA, 0, skynet.pack("drop_in", 2))
	end

	skynet.start(function()
		skynet.dispatch("lua", function(_, _, name, cs, target)
			local begin = skynet.now()
			if target then
				skynet.send(target, "lua", "drop_in", 1)
			end
			local results = table.pack(command[name](cs, target))
			skynet.retpack(skynet.now() - begin, table.unpack(results, 1, results.n))
		end)
	end)
end

case("a_deadline_also_ends_the_wait_for_room", function()
	local target, sender = child.start(vessel), child.start(pusher)
	skynet.call(target, "lua", "set", { limit = 1, policy = "block" })
	-- That there is room again comes late.
	test.delay({ from = target, to = sender, type = "response", by = 1000 })
	local waited, ok, text = skynet.call(sender, "lua", "call_within", 50, target)
	check.equal({ waited, ok }, { 50, false })
	check.matches(text, "no answer within 0.50 s")
	for i, name in ipairs({ "send", "rawsend", "redirect" }) do
		check.equal({ skynet.call(sender, "lua", name, 70, target) }, { 70, false }, name)
		check.equal(skynet.call(target, "lua", "count"), i + 1, name) -- of the first each
	end
	skynet.sleep(2000) -- what came late harms nobody
	check.equal({ skynet.call(sender, "lua", "of_core", 0, target) }, { 0, false })
end)

case("who_waits_for_room_is_told_of_the_end", function()
	local service = child.start(function()
		skynet.start(function()
			skynet.mailbox({ limit = 1, policy = "block" })
			skynet.dispatch("lua", function(_, _, victim)
				skynet.ignoreret()
				if victim == "fill" then
					skynet.send(skynet.self(), "lua", "more")
					skynet.send(skynet.self(), "lua", "more")
				else
					skynet.exit()
				end
			end)
		end)
	end)
	skynet.send(service, "lua", "fill")
	-- It has ended before this call, or while the call waited.
	check.raises("call ", skynet.call, service, "lua", "late")
end)

case("services_that_fill_each_other_go_on", function()
	local function partner()
		local other, total
		local got, sent = 0, 0
		local done
		local function finish()
			if done and got == total and sent == total then
				done(true, got)
				done = nil
			end
		end
		skynet.start(function()
			skynet.mailbox({ limit = 2, policy = "block" })
			skynet.dispatch("lua", function(_, _, what, ...)
				if what == "begin" then
					other, total = ...
					done = skynet.response()
					for i = 1, total do
						skynet.send(other, "lua", "gift", i)
						sent = sent + 1
					end
				else
					got = got + 1
				end
				finish()
			end)
		end)
	end
	local a, b = child.start(partner), child.start(partner)
	local results = {}
	local me = coroutine.running()
	for _, pair in ipairs({ { a, b }, { b, a } }) do
		skynet.fork(function()
			local got = skynet.call(pair[1], "lua", "begin", pair[2], 500)
			results[#results + 1] = got
			skynet.wakeup(me)
		end)
	end
	while #results < 2 do
		skynet.wait(me)
	end
	check.equal(results, { 500, 500 })
	skynet.kill(a)
	skynet.kill(b)
end)

case("answers_pass_into_a_full_mailbox", function()
	local service, other = child.start(vessel), child.start(vessel)
	skynet.call(service, "lua", "set", { limit = 1 })
	check.equal(skynet.call(service, "lua", "fill_and_ask", 1, other), 0)
	skynet.kill(service)
	skynet.kill(other)
end)

case("a_mailbox_that_grows_is_told", function()
	local service = child.start(vessel)
	local mark = log.mark()
	skynet.call(service, "lua", "set", { warning = 10, marks = true })
	skynet.call(service, "lua", "fill", 100)
	check.equal(skynet.call(service, "lua", "count"), 100)
	local marks = skynet.call(service, "lua", "marks")
	check.ok(#marks >= 1, "the handler was called")
	check.ok(marks[1] > 10, marks[1])
	local lines = log.lines(mark, "May overload, message queue length = ")
	check.equal(#lines, #marks)
	skynet.kill(service)
end)

case("zero_is_never_told", function()
	local service = child.start(vessel)
	local mark = log.mark()
	skynet.call(service, "lua", "set", { warning = 0, marks = true })
	skynet.call(service, "lua", "fill", 3000)
	check.equal(skynet.call(service, "lua", "count"), 3000)
	check.equal(skynet.call(service, "lua", "marks"), {})
	check.equal(log.lines(mark, "May overload"), {})
	skynet.kill(service)
end)

return cases
