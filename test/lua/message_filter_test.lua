-- skynet.forward_type and skynet.filter, and what they stand on: skynet.core's callback and
-- skynet.dispatch_message.
local skynet = require("skynet")
require("skynet.manager")
local check = require("check")
local child = require("child")
local log = require("log")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

for _, protocol in ipairs({ { "client", 3 }, { "text", 0 }, { "blocks", 77 } }) do
	skynet.register_protocol({
		name = protocol[1],
		id = protocol[2],
		pack = tostring,
		unpack = skynet.tostring,
	})
end

local function echo()
	skynet.register_protocol({
		name = "client",
		id = skynet.PTYPE_CLIENT,
		unpack = skynet.tostring,
		dispatch = function(_, source, text)
			skynet.ret("echo " .. text .. " for " .. skynet.address(source))
		end,
	})
	skynet.start(function() end)
end

-- Passes "client" messages on to the address in its argument, block and all.
local function proxy(target)
	skynet.register_protocol({
		name = "client",
		id = skynet.PTYPE_CLIENT,
		unpack = skynet.tostring,
		pack = tostring,
	})
	skynet.register_protocol({
		name = "forward",
		id = 200,
		unpack = function(block, size)
			return block, size
		end,
	})
	skynet.dispatch("forward", function(session, source, block, size)
		skynet.redirect(tonumber(target), source, "client", session, block, size)
		skynet.ignoreret()
	end)
	skynet.dispatch("lua", function(_, _, ...)
		skynet.retpack(...)
	end)
	skynet.forward_type({ [skynet.PTYPE_CLIENT] = 200 }, function()
		skynet.sleep(0)
	end)
end

case("forwarded_types_are_handed_over_with_their_blocks", function()
	local target = child.start(echo)
	local service = child.start(proxy, target)
	for i = 1, 100 do
		check.equal(
			skynet.call(service, "client", "text " .. i),
			("echo text %d for %s"):format(i, skynet.address(skynet.self()))
		)
	end
	-- Other types as usual.
	check.equal(skynet.call(service, "lua", "a", 1), "a")
	skynet.kill(service)
	skynet.kill(target)
end)

case("a_forwarded_type_without_handler_is_refused_and_freed", function()
	local service = child.start(function()
		skynet.forward_type({ [0] = 201, [3] = 10 }, function()
			skynet.dispatch("lua", function(_, _, ...)
				skynet.retpack(...)
			end)
		end)
	end)
	check.raises("no handler for messages of type 201", skynet.call, service, "text", "x")
	skynet.send(service, "text", ("x"):rep(100000))
	check.equal(skynet.call(service, "lua", "alive"), "alive")
	skynet.kill(service)
end)

case("a_filter_sees_and_changes_every_message", function()
	local service = child.start(function()
		local types = {}
		skynet.register_protocol({
			name = "blocks",
			id = 77,
			unpack = skynet.tostring,
			dispatch = function(_, _, text)
				skynet.ret(text)
			end,
		})
		skynet.dispatch("lua", function()
			skynet.retpack(types)
		end)
		skynet.filter(function(type, message, size, session, source)
			types[#types + 1] = type
			if type == skynet.PTYPE_CLIENT then
				local text = skynet.tostring(message, size):upper()
				return 77, text, nil, session, source
			end
			return type, message, size, session, source
		end, function()
			skynet.yield()
		end)
	end)
	check.equal(skynet.call(service, "client", "shout"), "SHOUT")
	check.equal(skynet.call(service, "blocks", "quiet"), "quiet")
	check.equal(skynet.call(service, "lua"), { 1, 1, 3, 77, 10 })
	skynet.kill(service)
end)

case("a_filter_that_fails_fails_the_request", function()
	local service = child.start(function()
		skynet.dispatch("lua", function(_, _, ...)
			skynet.retpack(...)
		end)
		skynet.filter(function(type, ...)
			if type == skynet.PTYPE_CLIENT then
				error("filter is broken")
			elseif type == 77 then
				return
			end
			return type, ...
		end, function() end)
	end)
	local mark = log.mark()
	check.raises("call failed: .*callback has raised", skynet.call, service, "client", "x")
	log.wait(mark, "lua call .*filter is broken")
	skynet.send(service, "client", "x")
	check.raises("call failed", skynet.call, service, "blocks", "x")
	log.wait(mark, "dispatch_message.*number expected, got no value")
	check.equal(skynet.call(service, "lua", "alive"), "alive")
	skynet.kill(service)
end)

case("a_wrapper_can_be_built_of_callback_dispatch_message_and_init_service", function()
	local service = child.start(function()
		local core = require("skynet.core")
		local seen = 0
		skynet.dispatch("lua", function(_, _, word)
			skynet.retpack(word, seen)
		end)
		skynet.init(function()
			seen = 100
		end)
		core.callback(function(type, message, size, session, source)
			seen = seen + 1
			skynet.fork(function()
				seen = seen + 10
			end)
			if type ~= skynet.PTYPE_CLIENT then
				skynet.dispatch_message(type, message, size, session, source)
			end
		end)
		skynet.timeout(0, function()
			skynet.init_service(skynet.yield)
		end)
	end)
	-- Three messages: two timers, and this one. The fork of each runs behind it.
	local word, seen = skynet.call(service, "lua", "word")
	check.equal({ word, seen }, { "word", 100 + 10 + 11 + 1 })
	skynet.send(service, "client", "only a fork")
	check.equal(select(2, skynet.call(service, "lua")), 100 + 10 + 33 + 1)
	skynet.kill(service)
end)

case("init_service_that_fails_fails_the_start", function()
	check.raises("call failed: .*not this time", child.start, function()
		require("skynet.core").callback(skynet.dispatch_message)
		skynet.timeout(0, function()
			skynet.init_service(function()
				error("not this time")
			end)
		end)
	end)
end)

case("core_has_functions_closer_to_the_core", function()
	local core = require("skynet.core")
	check.equal(core.addresscommand("REG"), skynet.self())
	check.equal(core.command("REG"), (":%x"):format(skynet.self()))
	check.equal(core.addresscommand("QUERY", ".launcher"), skynet.localname(".launcher"))
	check.equal(core.addresscommand("QUERY", ".nobody"), nil)
	check.equal(core.command("GETENV", "start"), skynet.getenv("start"))
	check.equal(math.type(core.intcommand("NOW")), "integer")
	check.equal(core.intcommand("STAT", "mqlen"), skynet.mqlen())
	check.equal(core.command("NO SUCH COMMAND"), nil)
	for _, name in ipairs({ "pack", "unpack", "packstring", "tostring", "trash", "genid" }) do
		check.equal(core[name], skynet[name], name)
	end
	local target = child.start(echo)
	check.equal(math.type(core.send(target, 3, 0, "text")), "integer")
	check.equal(core.send(".nobody", 3, nil, "text"), nil)
	check.ok(core.redirect(target, skynet.self(), 3, 12, skynet.pack("x")) == 12, "session")
	check.misuse("not a message type", core.send, target, 256)
	check.misuse("not a session", core.send, target, 3, 1 << 31)
	check.misuse("not an address", core.redirect, target, -1, 3)
	check.misuse("function expected", core.callback, 1)
	check.misuse("string expected", core.command)
	skynet.kill(target)
end)

case("core_links_by_sessions", function()
	local core = require("skynet.core")
	local service = child.start(echo)
	skynet.name(".linked_by_core", service)
	local session = core.link(".linked_by_core")
	local other = core.link(service)
	local reasons, done = {}, {}
	for i, awaited in ipairs({ session, other }) do
		skynet.fork(function()
			reasons[i] = core.await_end(awaited)
			skynet.wakeup(done)
		end)
	end
	skynet.yield()
	check.misuse("waits for this session already", core.await_end, session)
	core.unlink(service, other)
	skynet.kill(service)
	while not (reasons[1] and reasons[2]) do
		skynet.wait(done)
	end
	check.matches(reasons[1], "it was killed by")
	check.equal(reasons[2], "it was unlinked")
	check.equal(core.link(service), nil)
	check.equal(core.link(".linked_by_core"), nil)
	check.misuse("not a session", core.await_end, 0)
	check.misuse("not a session", core.unlink, service, -1)
	check.misuse("dest address type", core.link, {})
end)

return cases
