-- Requests and answers between living services.
local skynet = require("skynet")
local check = require("check")
local child = require("child")
local log = require("log")

-- A service that does what it is told.
local function servant()
	local heard = {}
	local command = {}

	function command.echo(...)
		skynet.retpack(...)
	end

	function command.hear(value)
		heard[#heard + 1] = value
	end

	function command.heard()
		skynet.retpack(heard)
	end

	function command.raw(text)
		skynet.ret(text)
	end

	function command.pointer(...)
		skynet.ret(skynet.pack(...))
	end

	function command.empty()
		skynet.ret()
	end

	function command.twice()
		skynet.retpack("first")
		heard = table.pack(pcall(skynet.ret, "second"))
		heard[3] = select(2, pcall(skynet.retpack, "third"))
		heard[4] = select(2, pcall(skynet.response))
		heard[5] = select(2, pcall(skynet.ret, skynet.pack("fourth")))
	end

	function command.ret_result(...)
		heard = table.pack(skynet.ret(...))
	end

	function command.retpack_pointer_for_send()
		heard = { skynet.ret(skynet.pack("nobody wants this")) }
	end

	function command.fail(text)
		local _guard <close> = setmetatable({}, {
			__close = function()
				heard[#heard + 1] = "closed"
			end,
		})
		error(text, 0)
	end

	function command.fail_with(kind)
		local objects = {
			["nil"] = nil,
			number = 42,
			table = {},
			named = setmetatable({}, {
				__tostring = function()
					return "a named error"
				end,
			}),
			bad = setmetatable({}, {
				__tostring = function()
					error("worse")
				end,
			}),
		}
		error(objects[kind])
	end

	function command.fail_after_answer()
		skynet.retpack("answered")
		error("too late")
	end

	function command.forget() end

	function command.ignore()
		skynet.ignoreret()
	end

	function command.later(cs)
		skynet.sleep(cs)
		skynet.retpack(cs)
	end

	function command.context()
		local before = table.pack(skynet.context())
		skynet.sleep(0)
		local after = table.pack(skynet.context())
		skynet.retpack(before, after)
	end

	function command.fork_context()
		local answer = skynet.response()
		skynet.fork(function()
			local ok, text = pcall(skynet.retpack, 1)
			answer(true, skynet.context() == nil, ok, text)
		end)
	end

	skynet.start(function()
		skynet.register(".servant")
		skynet.dispatch("lua", function(_, _, name, ...)
			command[name](...)
		end)
	end)
end

local service
local function ask(...)
	service = service or child.start(servant)
	return skynet.call(service, "lua", ...)
end

local function count(...)
	return select("#", ...)
end

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

case("a_call_returns_what_was_packed", function()
	check.equal(
		{ ask("echo", 1, "two", { 3, four = 4.0 }, true) },
		{ 1, "two", { 3, four = 4.0 }, true }
	)
	check.equal(table.pack(ask("echo", nil, nil, 1, nil)), { n = 4, [3] = 1 })
	check.equal(count(ask("echo")), 0)
	check.equal(count(ask("empty")), 0)
	check.equal(ask("raw", skynet.packstring("raw", 1)), "raw")
	check.equal(table.pack(ask("pointer", 1, 2)), { 1, 2, n = 2 })
end)

case("an_address_is_a_number_a_hex_text_or_a_name", function()
	ask("echo")
	local hex = skynet.address(service)
	local upper = ":" .. hex:upper():sub(2)
	local as_text, as_float = tostring(service), service + 0.0
	for _, address in ipairs({ service, hex, upper, ".servant", as_text, as_float }) do
		check.equal(skynet.call(address, "lua", "echo", 1), 1, tostring(address))
		check.equal(skynet.send(address, "lua", "hear", 1), 0, tostring(address))
	end
	check.equal(skynet.call(service, skynet.PTYPE_LUA, "echo", "by id"), "by id")
	ask("heard")
end)

case("messages_of_one_sender_start_in_their_order", function()
	service = child.start(servant)
	local expected = {}
	for i = 1, 500 do
		expected[i] = i
		check.equal(skynet.send(service, "lua", "hear", i), 0)
	end
	check.equal(ask("heard"), expected)
end)

case("requests_of_one_sender_may_end_in_any_order", function()
	local order = {}
	local me = coroutine.running()
	for _, cs in ipairs({ 6, 0, 3 }) do
		skynet.fork(function()
			local answer = ask("later", cs)
			order[#order + 1] = answer
			if #order == 3 then
				skynet.wakeup(me)
			end
		end)
	end
	skynet.wait()
	check.equal(order, { 0, 3, 6 })
end)

case("a_thousand_calls_at_a_time", function()
	local me = coroutine.running()
	local done = 0
	ask("echo")
	for i = 1, 1000 do
		skynet.fork(function()
			if ask("echo", i) == i then
				done = done + 1
			end
			if done == 1000 then
				skynet.wakeup(me)
			end
		end)
	end
	skynet.wait()
	check.equal(done, 1000)
end)

case("a_service_may_call_itself", function()
	local answer
	skynet.dispatch("lua", function(_, source, ...)
		check.equal(source, skynet.self())
		skynet.retpack("self", ...)
	end)
	answer = { skynet.call(skynet.self(), "lua", 1) }
	check.equal(answer, { "self", 1 })
end)

case("large_messages_arrive_whole", function()
	local text = ("0123456789abcdef"):rep(1 << 18) -- 4 MiB
	check.ok(ask("echo", text) == text, "4 MiB of text")
	local list = {}
	for i = 1, 100000 do
		list[i] = i * 7
	end
	check.equal(ask("echo", list), list)
end)

case("only_one_answer_a_request", function()
	check.equal(ask("twice"), "first")
	local heard = ask("heard")
	check.equal(heard[1], false)
	for i = 2, 5 do
		check.matches(heard[i], "[Nn]o session")
	end
end)

case("ret_tells_whether_anybody_gets_the_answer", function()
	service = child.start(servant)
	skynet.send(service, "lua", "ret_result", "text")
	check.equal(ask("heard"), { false, n = 1 })
	skynet.send(service, "lua", "retpack_pointer_for_send")
	check.equal(ask("heard"), { false })
	check.equal(count(ask("ret_result", skynet.packstring())), 0)
	check.equal(ask("heard"), { true, n = 1 })
end)

case("context_tells_session_and_source_of_the_request", function()
	local before, after = ask("context")
	check.equal(before, after)
	check.equal(before.n, 2)
	check.ok(before[1] > 0, "a session")
	check.equal(before[2], skynet.self())
	local has_none, ok, text = ask("fork_context")
	check.equal({ has_none, ok }, { true, false })
	check.matches(text, "No session")
end)

case("an_error_reaches_the_caller_with_its_text", function()
	service = child.start(servant)
	local mark = log.mark()
	local text = check.raises(
		"call failed: script %(:%x+%): no such item\n",
		ask,
		"fail",
		"no such item"
	)
	check.matches(text, ("script %%(:%08x%%)"):format(service), "names the service")
	check.matches(
		text,
		"\n\tin script %(:%x+%):\n\t\ttest/lua/call_test%.lua:%d+: in field",
		"tells where"
	)
	check.matches(text, "^[%w/.]*call_test%.lua:%d+: call failed", "blames the caller")
	local place = ("%%[%x to :%x : %%d+ msgsz = %%d+%%]"):format(skynet.self(), service)
	local line = log.wait(mark, "lua call " .. place .. " error : \27%[31mno such item")
	check.matches(line, "stack traceback")
	check.equal(ask("heard"), { "closed" })
end)

case("any_error_value_fails_the_call", function()
	check.raises("call failed", ask, "fail_with", "nil")
	check.raises("call failed: script %(:%x+%): 42\n", ask, "fail_with", "number")
	check.raises("call failed", ask, "fail_with", "table")
	local mark = log.mark()
	check.raises("call failed", ask, "fail_with", "named")
	log.wait(mark, "a named error")
	mark = log.mark()
	check.raises("call failed", ask, "fail_with", "bad")
	log.wait(mark, "lua call .*error : ")
	check.raises("call failed", ask, "no such command")
	check.equal(ask("echo", "still here"), "still here")
end)

case("an_error_after_the_answer_is_only_logged", function()
	local mark = log.mark()
	check.equal(ask("fail_after_answer"), "answered")
	log.wait(mark, "too late")
end)

case("an_error_in_a_send_is_only_logged", function()
	local mark = log.mark()
	ask("echo")
	skynet.send(service, "lua", "fail", "nobody waits")
	log.wait(mark, "lua call .*nobody waits")
	check.equal(ask("echo", 1), 1)
end)

case("a_forgotten_answer_is_logged_and_fails_the_call", function()
	local mark = log.mark()
	check.raises(
		"script .*: the handler at .*call_test%.lua:%d+ has ended without an answer$",
		ask,
		"forget"
	)
	local line = log.wait(mark, "Maybe forgot response session")
	check.matches(
		line,
		("session %%d+ from :%08x : .*call_test%%.lua:%%d+$"):format(skynet.self())
	)
end)

case("ignoreret_needs_no_answer", function()
	local mark = log.mark()
	service = service or child.start(servant)
	local session = skynet.genid()
	check.equal(
		skynet.redirect(service, 0, "lua", session, skynet.packstring("ignore")),
		session
	)
	ask("echo")
	check.equal(log.lines(mark, "forgot"), {})
end)

case("a_call_to_nobody_raises_at_once", function()
	ask("echo")
	local dead = child.start(servant)
	skynet.kill(dead)
	check.raises("call to invalid address " .. dead .. "$", skynet.call, dead, "lua")
	check.raises("call to invalid address :ffffff$", skynet.call, ":ffffff", "lua")
	check.raises("call to invalid address %.nobody$", skynet.call, ".nobody", "lua")
	check.raises("call to invalid address nobody$", skynet.call, "nobody", "lua")
	check.raises(
		"call to invalid address %.nobody$",
		skynet.rawcall,
		".nobody",
		"lua",
		skynet.pack(1)
	)
end)

case("a_send_to_nobody_returns_nil", function()
	for _, address in ipairs({ 0xffffff, ":ffffff", ".nobody", "nobody", "" }) do
		check.equal(table.pack(skynet.send(address, "lua", 1)), { n = 1 })
		check.equal(table.pack(skynet.rawsend(address, "lua", skynet.pack(1))), { n = 1 })
		check.equal(
			table.pack(skynet.redirect(address, 0, "lua", 0, skynet.pack(1))),
			{ n = 1 }
		)
	end
end)

case("a_request_to_another_node_fails_at_once", function()
	check.raises("call failed", skynet.call, 0x01000001, "lua", "there is no network")
	check.equal(skynet.send(0x01000001, "lua"), 0)
end)

case("raw_calls_move_bytes_and_pointers", function()
	ask("echo")
	local pointer, size = skynet.rawcall(service, "lua", skynet.packstring("echo", "bytes"))
	check.equal(type(pointer), "userdata")
	check.equal(skynet.tostring(pointer, size), skynet.packstring("bytes"))
	pointer, size = skynet.rawcall(service, "lua", skynet.pack("echo", "block"))
	check.equal(skynet.unpack(pointer, size), "block")
	check.equal(skynet.rawsend(service, "lua", skynet.packstring("hear", 1)), 0)
	check.equal(skynet.rawsend(service, "lua", skynet.pack("hear", 1)), 0)
	pointer, size = skynet.rawcall(service, "lua", skynet.packstring("empty"))
	check.equal(size, 0)
	check.equal(count(skynet.unpack(pointer, size)), 0)
end)

case("redirect_speaks_for_another_service", function()
	local first, second = child.start(servant), child.start(servant)
	-- As if the second had asked the first: the answer goes there, and nobody waits for it.
	local mark = log.mark()
	check.equal(skynet.redirect(first, second, "lua", 4711, skynet.packstring("echo", 1)), 4711)
	log.wait(
		mark,
		("%%[:%08x%%] Unknown response session 4711 from :%08x"):format(second, first)
	)
	skynet.redirect(first, second, "lua", 4712, skynet.pack("context"))
	log.wait(mark, ("%%[:%08x%%] Unknown response session 4712"):format(second))
end)

case("genid_draws_a_new_session_each_time", function()
	local seen = {}
	for _ = 1, 1000 do
		local session = skynet.genid()
		check.ok(math.type(session) == "integer" and session > 0 and not seen[session])
		seen[session] = true
	end
end)

case("waiting_where_lua_cannot_wait_is_an_error_that_leaves_no_trace", function()
	local mark = log.mark()
	ask("echo")
	local function in_sort(f, ...)
		local arguments = table.pack(...)
		table.sort({ 3, 2, 1 }, function()
			f(table.unpack(arguments, 1, arguments.n))
		end)
	end
	for _ = 1, 3 do
		check.raises("can't wait", in_sort, skynet.call, service, "lua", "echo", 1)
		check.raises(
			"can't wait",
			in_sort,
			skynet.rawcall,
			service,
			"lua",
			skynet.packstring("echo")
		)
		check.raises("can't wait", in_sort, skynet.sleep, 1)
		check.raises("can't wait", in_sort, skynet.yield)
		check.raises("can't wait", in_sort, skynet.wait, "token")
	end
	skynet.sleep(2)
	check.equal(ask("echo", 2), 2)
	check.equal(log.lines(mark, "Unknown response"), {})
end)

case("waiting_in_a_coroutine_of_ones_own_is_an_error", function()
	ask("echo")
	local function in_coroutine(f, ...)
		return coroutine.wrap(f)(...)
	end
	check.raises("coroutine of your own", in_coroutine, skynet.call, service, "lua", "echo")
	check.raises("coroutine of your own", in_coroutine, skynet.sleep, 0)
	check.raises("coroutine of your own", in_coroutine, skynet.wait)
	check.raises("coroutine of your own", in_coroutine, skynet.newservice, "script")
	check.equal(in_coroutine(skynet.send, service, "lua", "hear"), 0)
	-- It may yield, to whoever resumes it.
	local values = {}
	for value in coroutine.wrap(function()
		coroutine.yield(1)
		coroutine.yield(2)
	end) do
		values[#values + 1] = value
		skynet.sleep(0)
	end
	check.equal(values, { 1, 2 })
end)

case("a_task_that_yields_to_nobody_fails", function()
	local mark = log.mark()
	skynet.fork(function()
		coroutine.yield("whom?")
	end)
	log.wait(mark, "lua call .*attempt to yield a task")
end)

return cases
