-- The life of a service from its script to its start function, and how both fail.
local skynet = require("skynet")
require("skynet.manager")
local check = require("check")
local child = require("child")
local log = require("log")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

case("newservice_returns_when_the_start_function_has", function()
	local order = {}
	skynet.dispatch("lua", function(_, source, word)
		order[#order + 1] = word
		skynet.retpack(source)
	end)
	local service = child.start(function(parent)
		skynet.start(function()
			skynet.call(tonumber(parent), "lua", "starting")
			skynet.sleep(2)
			skynet.call(tonumber(parent), "lua", "nearly")
		end)
	end, skynet.self())
	order[#order + 1] = "started"
	check.equal(order, { "starting", "nearly", "started" })
	check.equal(math.type(service), "integer")
	check.ok(skynet.send(service, "lua") == 0, "it lives")
end)

case("arguments_are_words_of_text", function()
	local function tell(...)
		local words = table.pack(...)
		skynet.dispatch("lua", function()
			skynet.retpack(words)
		end)
		skynet.start(function() end)
	end
	check.equal(skynet.call(child.start(tell), "lua"), { n = 0 })
	check.equal(
		skynet.call(
			child.start(tell, "a", 1, 2.5, "two words", "\ttabs\t\tand  blanks ", ""),
			"lua"
		),
		{ "a", "1", "2.5", "two", "words", "tabs", "and", "blanks", n = 8 }
	)
	check.equal(skynet.call(child.start(tell, "a", nil, nil), "lua"), { "a", n = 1 })
	local long = ("x"):rep(100000)
	check.equal(skynet.call(child.start(tell, long), "lua"), { long, n = 1 })
end)

case("init_functions_run_before_the_start_function_in_their_order", function()
	local order = skynet.call(
		child.start(function()
			local order = {}
			for i = 1, 3 do
				skynet.init(function()
					order[#order + 1] = "init " .. i
					skynet.sleep(0)
					order[#order + 1] = "init " .. i .. " after sleep"
					if i == 2 then
						skynet.init(function()
							order[#order + 1] = "init by 2"
						end)
					end
				end)
			end
			skynet.dispatch("lua", function()
				skynet.retpack(order)
			end)
			skynet.start(function()
				order[#order + 1] = "start"
			end)
			order[#order + 1] = "main chunk"
		end),
		"lua"
	)
	check.equal(order, {
		"main chunk",
		"init 1",
		"init 1 after sleep",
		"init 2",
		"init 2 after sleep",
		"init 3",
		"init 3 after sleep",
		"init by 2",
		"start",
	})
end)

case("init_functions_that_come_too_late_are_refused", function()
	local service = child.start(function()
		local reasons = {}
		skynet.dispatch("lua", function()
			reasons[2] = select(2, pcall(skynet.init, print))
			skynet.retpack(reasons)
		end)
		skynet.start(function()
			reasons[1] = select(2, pcall(skynet.init, print))
		end)
	end)
	for _, reason in ipairs(skynet.call(service, "lua")) do
		check.matches(reason, "skynet%.init is too late")
	end
end)

case("the_service_takes_messages_while_it_starts", function()
	local mark = log.mark()
	local service = child.launch(function()
		local token = {}
		skynet.dispatch("lua", function(_, _, name)
			skynet.retpack(name)
			if name == "go on" then
				skynet.wakeup(token)
			end
		end)
		skynet.start(function()
			skynet.error("start function waits")
			skynet.wait(token)
			skynet.error("start function ends")
		end)
	end)
	log.wait(mark, "start function waits")
	check.equal(skynet.call(service, "lua", "hello"), "hello")
	check.equal(skynet.call(service, "lua", "go on"), "go on")
	log.wait(mark, "start function ends")
end)

--- The children of these cases fail in some way. Returns the error of newservice.
local function start_fails(pattern, f, ...)
	local mark = log.mark()
	local text = check.raises("call failed", child.start, f, ...)
	local line = log.wait(mark, pattern)
	log.wait(mark, "KILL self")
	return text, line
end

case("a_start_function_that_raises_fails_newservice", function()
	local text, line = start_fails("init service failed: .*no such database", function()
		skynet.start(function()
			skynet.sleep(0)
			error("no such database")
		end)
	end)
	check.matches(text, "call failed: .*start_test%.lua:%d+: no such database$")
	check.matches(line, "stack traceback")
end)

case("an_init_function_that_raises_fails_newservice", function()
	local text = start_fails("init service failed: .*bad init", function()
		skynet.init(function()
			error("bad init")
		end)
		skynet.start(function()
			skynet.error("never started")
		end)
	end)
	check.matches(text, "bad init")
end)

case("a_script_that_raises_fails_newservice", function()
	local text, line = start_fails("lua loader error : .*bad script", function()
		skynet.start(function() end)
		skynet.timeout(0, function() end)
		error("bad script")
	end)
	check.matches(text, "call failed: .*start_test%.lua:%d+: bad script$")
	check.matches(line, "stack traceback")
	text = start_fails("lua loader error", function()
		error({})
	end)
	check.matches(text, "call failed")
end)

case("a_script_that_is_missing_fails_newservice_and_names_the_places", function()
	local text = check.raises("call failed", skynet.newservice, "no_such_service", 1, 2)
	check.matches(
		text,
		"can't load the Lua service 'no_such_service' %(config key luaservice%)"
	)
	check.matches(text, "test/lua/service/no_such_service%.lua")
	check.matches(text, "%./service/no_such_service%.lua")
	for _, name in ipairs({ "../x", "a/b", "%d", "%", "?" }) do
		check.raises("can't load the Lua service", skynet.newservice, name)
	end
	check.raises("call failed", skynet.newservice, "")
	check.raises("call failed", skynet.newservice, "  ")
end)

case("a_script_without_start_fails_newservice", function()
	local text = start_fails("has not called skynet%.start", function() end)
	check.matches(text, "has not called skynet%.start")
end)

case("waiting_in_the_main_chunk_fails_newservice", function()
	for _, f in ipairs({
		function()
			skynet.call(".launcher", "lua", "LIST")
		end,
		function()
			skynet.sleep(1)
		end,
		function()
			skynet.wait()
		end,
		function()
			skynet.newservice("script")
		end,
	}) do
		local text = start_fails("lua loader error : .*can't be used in the main chunk", f)
		check.matches(text, "can't be used in the main chunk")
	end
end)

case("exit_during_start_is_no_failure", function()
	check.equal(
		child.start(function()
			skynet.start(function()
				skynet.exit()
			end)
		end),
		nil
	)
	check.equal(
		child.start(function()
			skynet.init(function()
				skynet.exit()
			end)
			skynet.start(function() end)
		end),
		nil
	)
	check.equal(
		child.start(function()
			skynet.dispatch("lua", function()
				skynet.exit()
			end)
			skynet.start(function()
				skynet.send(skynet.self(), "lua")
				skynet.wait()
			end)
		end),
		nil
	)
	check.equal(
		child.start(function()
			skynet.exit()
		end),
		nil
	)
	check.equal(
		child.start(function()
			pcall(skynet.exit)
		end),
		nil
	)
end)

case("a_kill_during_start_fails_newservice", function()
	skynet.dispatch("lua", function(_, source)
		skynet.ignoreret()
		skynet.kill(source)
	end)
	check.raises("call failed", child.start, function(parent)
		skynet.start(function()
			skynet.call(tonumber(parent), "lua")
		end)
	end, skynet.self())
	check.raises("call failed", child.start, function()
		skynet.start(function()
			skynet.kill(skynet.self())
		end)
	end)
end)

case("a_failed_start_closes_everything", function()
	local mark = log.mark()
	local service
	skynet.dispatch("lua", function(_, source)
		service = source
		skynet.retpack()
	end)
	local _ = start_fails("init service failed", function(parent)
		local function guarded(name)
			local _guard <close> = setmetatable({}, {
				__close = function()
					skynet.error("closed", name)
				end,
			})
			skynet.wait()
		end
		skynet.dispatch("lua", skynet.wait)
		skynet.start(function()
			skynet.fork(guarded, "fork")
			skynet.timeout(0, function()
				guarded("timer")
			end)
			skynet.sleep(0)
			skynet.call(tonumber(parent), "lua")
			skynet.fork(skynet.error, "never run")
			error("this start fails")
		end)
	end, skynet.self())
	log.wait(mark, "closed fork")
	log.wait(mark, "closed timer")
	check.raises("call to invalid address", skynet.call, service, "lua")
	check.equal(log.lines(mark, "never run"), {})
end)

case("a_thousand_services_start", function()
	local function tiny()
		skynet.start(function()
			skynet.dispatch("lua", function()
				skynet.retpack(skynet.self())
				skynet.exit()
			end)
		end)
	end
	local services = {}
	local token = {}
	local key = child.key(tiny)
	for _ = 1, 10 do
		skynet.fork(function()
			for _ = 1, 100 do
				local service = skynet.newservice("script", key)
				services[#services + 1] = service
			end
			skynet.wakeup(token)
		end)
	end
	while #services < 1000 do
		skynet.wait(token)
	end
	local seen = {}
	for _, service in ipairs(services) do
		check.ok(not seen[service], "each has an address of its own")
		seen[service] = true
		check.equal(skynet.call(service, "lua"), service)
	end
end)

case("launch_does_not_wait_for_the_script", function()
	local mark = log.mark()
	local service = child.launch(function()
		skynet.start(function()
			skynet.error("runs as", skynet.self())
		end)
	end)
	check.equal(math.type(service), "integer")
	log.wait(mark, "runs as " .. service)
	check.equal(skynet.launch("no_such_module"), nil)
	check.equal(skynet.launch("snlua"), nil)
	check.equal(skynet.launch("snlua", " "), nil)
	log.wait(mark, "no_such_module")
	log.wait(mark, "snlua needs the name of a Lua service")
end)

case("the_loader_sets_two_globals", function()
	local name, path = skynet.call(
		child.start(function()
			skynet.dispatch("lua", function()
				skynet.retpack(SERVICE_NAME, SERVICE_PATH)
			end)
			skynet.start(function() end)
		end),
		"lua"
	)
	check.equal({ name, path }, { "script", "./test/lua/service/" })
end)

return cases
