-- Traces: what is logged of a request on its way through services.
local skynet = require("skynet")
require("skynet.manager")
local check = require("check")
local child = require("child")
local log = require("log")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local function traced()
	skynet.start(function()
		skynet.dispatch("lua", function(_, _, what, ...)
			if what == "fail" then
				error("in a trace")
			elseif what == "defer" then
				skynet.response()(true)
			elseif what == "tag" then
				skynet.retpack(skynet.tracetag())
			elseif what == "through" then
				skynet.retpack(skynet.call(..., "lua", "tag"))
			elseif what == "rule" then
				skynet.traceproto("lua", ...)
				skynet.retpack()
			else
				skynet.sleep(0)
				skynet.retpack()
			end
		end)
	end)
end

--- The events of a trace, in order: who has logged what, without the places.
local function events(mark, tag)
	local list = {}
	local pattern = "<TRACE " .. tag:gsub("%-", "%%-") .. "> "
	for _, line in ipairs(log.lines(mark, pattern)) do
		local who, ns, event = line:match("^%[(:%x+)%] <TRACE %S+> (%d+) (.*)$")
		check.ok(who and tonumber(ns), line)
		list[#list + 1] = { who, event }
	end
	return list
end

--- Runs f as a task of its own, in a trace. Returns its tag and the first place in the log.
local function trace(f)
	local mark = log.mark()
	local tag
	skynet.fork(function()
		skynet.trace("test")
		tag = skynet.tracetag()
		local ok, text = pcall(f)
		skynet.fork(skynet.wakeup, "traced")
		assert(ok, text)
	end)
	skynet.wait("traced")
	return tag, mark
end

local function of(list, who)
	local words = {}
	for _, event in ipairs(list) do
		if event[1] == skynet.address(who) then
			words[#words + 1] = event[2]:match("^%S+")
		end
	end
	return words
end

case("a_trace_follows_a_call", function()
	local service = child.start(traced)
	local tag, mark = trace(function()
		skynet.call(service, "lua", "rest")
		skynet.sleep(0)
	end)
	check.matches(tag, ("^%s%%-%%d+$"):format(skynet.address(skynet.self())))
	log.wait(mark, "> %d+ end$")
	local list = events(mark, tag)
	check.equal(of(list, skynet.self()), {
		"trace",
		"call",
		"resume",
		"sleep",
		"resume",
		"end",
	})
	check.equal(list[1][2], "trace test")
	check.matches(list[2][2], "^call : test/lua/trace_test%.lua:%d+")
	check.equal(of(list, service), { "request", "sleep", "resume", "response", "end" })
	skynet.kill(service)
end)

case("a_trace_goes_on_through_other_services", function()
	local first, second = child.start(traced), child.start(traced)
	local tag_there
	local tag = trace(function()
		tag_there = skynet.call(first, "lua", "through", second)
	end)
	check.equal(tag_there, tag)
	check.equal(skynet.call(second, "lua", "tag"), nil) -- only that request
	skynet.kill(first)
	skynet.kill(second)
end)

case("a_trace_tells_of_errors_and_deferred_answers", function()
	local service = child.start(traced)
	local tag, mark = trace(function()
		pcall(skynet.call, service, "lua", "fail")
		skynet.call(service, "lua", "defer")
	end)
	check.equal(of(events(mark, tag), service), {
		"request",
		"error",
		"request",
		"response",
		"end",
	})
	skynet.kill(service)
end)

case("traceproto_decides_for_a_type", function()
	local service = child.start(traced)
	skynet.call(service, "lua", "rule", true)
	check.matches(
		skynet.call(service, "lua", "tag"),
		("^%s%%-%%d+$"):format(skynet.address(service))
	)
	skynet.call(service, "lua", "rule", false)
	local tag
	trace(function()
		tag = skynet.call(service, "lua", "tag")
	end)
	check.equal(tag, false)
	skynet.call(service, "lua", "rule", nil)
	check.equal(skynet.call(service, "lua", "tag"), nil)
	skynet.kill(service)
end)

case("a_protocol_may_be_registered_with_a_rule", function()
	local service = child.start(function()
		skynet.register_protocol({
			name = "traced",
			id = 108,
			pack = skynet.pack,
			unpack = skynet.unpack,
			trace = true,
		})
		skynet.start(function()
			skynet.dispatch("traced", function()
				skynet.retpack(skynet.tracetag())
			end)
		end)
	end)
	skynet.register_protocol({
		name = "traced",
		id = 108,
		pack = skynet.pack,
		unpack = skynet.unpack,
	})
	check.matches(skynet.call(service, "traced"), "^:%x+%-1$")
	check.matches(skynet.call(service, "traced"), "^:%x+%-2$")
	check.raises("field 'trace' must be true", skynet.register_protocol, {
		name = "other",
		id = 109,
		trace = 1,
	})
	skynet.kill(service)
end)

case("tracelog_and_tracecall", function()
	local mark = log.mark()
	skynet.tracelog("mine", "an event")
	skynet.tracelog("mine", "with a place", 1)
	local co = coroutine.create(function()
		coroutine.yield()
	end)
	coroutine.resume(co)
	skynet.tracelog("mine", "elsewhere", co, 1)
	local lines = log.lines(mark, "<TRACE mine>")
	check.equal(#lines, 3)
	check.matches(lines[1], "<TRACE mine> %d+ an event$")
	check.matches(lines[2], "with a place : test/lua/trace_test%.lua:%d+")
	check.matches(lines[3], "elsewhere : test/lua/trace_test%.lua:%d+$")
	local service = child.start(traced)
	local pointer, size =
		skynet.tracecall("mine", service, "lua", skynet.packstring("tag"))
	check.equal(skynet.unpack(pointer, size), "mine")
	skynet.kill(service)
end)

case("there_is_no_trace_outside_of_a_task", function()
	local mark = log.mark()
	check.raises("call failed", child.start, function()
		skynet.error("tag:", skynet.tracetag())
		skynet.trace()
	end)
	log.wait(mark, "tag: nil")
	log.wait(mark, "skynet.trace begins the trace of a task")
end)

case("announced_traces_do_not_pile_up", function()
	local service = child.start(traced)
	local tag = skynet.packstring
	skynet.register_protocol({ name = "trace", id = skynet.PTYPE_TRACE })
	for i = 1, 1000 do
		skynet.redirect(service, 0x10000 + i, "trace", 0, "tag" .. i)
	end
	skynet.redirect(service, 0x20000, "trace", 0, "")
	check.equal(skynet.call(service, "lua", "tag"), nil)
	check.ok(tag)
	skynet.kill(service)
end)

return cases
