-- What programs for today's skynet rely on, and no test of one module looks at.
local skynet = require("skynet")
require("skynet.manager")
local test = require("skynet.test")
local check = require("check")
local child = require("child")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local function echo()
	skynet.start(function()
		skynet.dispatch("lua", function(_, _, ...)
			skynet.retpack(...)
		end)
	end)
end

case("a_text_of_digits_is_a_handle", function()
	local service = child.start(echo)
	check.equal(skynet.call(tostring(service), "lua", "digits"), "digits")
	check.equal(skynet.send(tostring(service), "lua"), 0)
	check.equal(skynet.send("999999", "lua"), nil)
end)

case("the_collector_is_generational", function()
	local mode = collectgarbage("generational")
	check.equal(mode, "generational")
end)

case("pcall_of_old_is_pcall", function()
	check.ok(skynet.pcall == pcall)
end)

case("four_protocols_are_there_and_others_can_be_registered", function()
	local names = {}
	for name in pairs(skynet._proto) do
		names[#names + 1] = type(name) == "string" and name or nil
	end
	table.sort(names)
	check.equal(names, { "debug", "error", "lua", "response" })
	for id, name in pairs({ [0] = "text", [3] = "client", [4] = "system", [5] = "harbor" }) do
		check.equal(skynet.dispatch(name), nil)
		skynet.register_protocol({ name = name, id = id })
		check.equal(skynet._proto[id].name, name)
	end
end)

case("a_handler_gets_session_source_and_what_unpack_gave", function()
	local service = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function(session, source, ...)
				skynet.retpack(session ~= 0, source, select("#", ...), ...)
			end)
		end)
	end)
	check.equal(
		table.pack(skynet.call(service, "lua", nil, 2, nil)),
		{ true, skynet.self(), 3, nil, 2, nil, n = 6 }
	)
end)

case("an_answer_to_a_send_is_none", function()
	local service = child.start(function()
		local seen = {}
		skynet.start(function()
			skynet.dispatch("lua", function(session, _, what)
				if what == "ret" then
					seen[#seen + 1] = skynet.ret(skynet.pack("freed"))
				elseif what == "response" then
					local respond = skynet.response()
					seen[#seen + 1] = select("#", respond("TEST"))
					seen[#seen + 1] = select("#", respond(true, 1))
					seen[#seen + 1] = select("#", respond(true, 1)) -- again
				elseif session ~= 0 then
					skynet.retpack(seen)
				end
			end)
		end)
	end)
	skynet.send(service, "lua", "ret")
	skynet.send(service, "lua", "response")
	check.equal(skynet.call(service, "lua"), { false, 0, 0, 0 })
end)

case("redirect_gives_the_session", function()
	local service = child.start(echo)
	local session = skynet.genid()
	check.equal(skynet.redirect(service, 0, "lua", session, skynet.pack()), session)
	check.equal(skynet.redirect(0x999, 0, "lua", 0, skynet.pack()), nil)
	test.settle()
end)

case("booleans_and_numbers_of_the_config_are_texts", function()
	check.equal(skynet.getenv("profile"), "true")
	check.equal(skynet.getenv("harbor"), "0")
	skynet.setenv("a_number", 5)
	check.equal(skynet.getenv("a_number"), "5")
	check.equal(skynet.getenv("no_such_key"), nil)
end)

case("a_log_line_is_its_arguments_and_blanks", function()
	skynet.error("words", 1, 2.5, nil, true, setmetatable({}, {
		__tostring = function()
			return "an object"
		end,
	}))
	check.equal(#test.log("%] words 1 2%.5 nil true an object"), 1)
	skynet.error()
	check.equal(#test.log("%] nil"), 1)
end)

case("words_for_the_launcher_may_be_small", function()
	local service = child.start(echo)
	local list = skynet.call(".launcher", "lua", "list")
	check.matches(list[skynet.address(service)], "^snlua script")
	check.equal(skynet.call(".launcher", "lua", "no such"), { "Unknown command" })
	check.equal(
		skynet.call(".launcher", "lua", "kill", service),
		{ [skynet.address(service)] = list[skynet.address(service)] }
	)
end)

case("a_sleep_without_time_lets_queued_messages_pass", function()
	local order = {}
	skynet.timeout(0, function()
		order[#order + 1] = "timer"
	end)
	skynet.fork(function()
		order[#order + 1] = "fork"
	end)
	check.equal(skynet.sleep(0), nil)
	check.equal(order, { "fork", "timer" })
	check.equal(skynet.sleep(-5), nil)
	check.equal(skynet.yield(), nil)
end)

case("task_answers_by_session_and_by_coroutine", function()
	local co = skynet.fork(skynet.sleep, 1000)
	skynet.yield()
	local session = skynet.task(co)
	check.equal(math.type(session), "integer")
	check.matches(skynet.task(session), "traceback")
	check.equal(skynet.task(0x7ffffff), "No session")
	check.equal(skynet.killthread(co), co)
end)

case("a_file_that_does_not_load_is_told_with_all_places", function()
	local ok, text = pcall(skynet.newservice, "no_such_script")
	check.equal(ok, false)
	check.matches(text, "no_such_script")
	check.matches(text, "./service/no_such_script.lua")
end)

case("blanks_split_the_arguments_of_a_service", function()
	local service = child.start(function(...)
		local words = table.pack(...)
		skynet.start(function()
			skynet.dispatch("lua", function()
				skynet.retpack(words)
			end)
		end)
	end, "two words", 3, "x\ty")
	check.equal(skynet.call(service, "lua"), { "two", "words", "3", "x", "y", n = 5 })
end)

case("require_of_a_library_gives_the_same_table", function()
	check.ok(require("skynet") == require("skynet.manager"))
	check.ok(require("skynet.codecache") == skynet.cache)
end)

return cases
