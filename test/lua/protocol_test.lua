-- Message types: registering, handlers, pack and unpack, and messages nobody expects.
local skynet = require("skynet")
local check = require("check")
local child = require("child")
local log = require("log")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local function text_protocol(name, id)
	return {
		name = name,
		id = id,
		pack = function(...)
			return table.concat({ ... }, ",")
		end,
		unpack = skynet.tostring,
	}
end

skynet.register_protocol(text_protocol("words", 100))

--- A handler for "words" in this service.
local function handle_words()
	skynet.dispatch("words", function(_, _, text)
		skynet.ret(text .. "!")
	end)
end

case("the_type_numbers_are_known_by_name", function()
	local expected = {
		TEXT = 0,
		RESPONSE = 1,
		MULTICAST = 2,
		CLIENT = 3,
		SYSTEM = 4,
		HARBOR = 5,
		SOCKET = 6,
		ERROR = 7,
		QUEUE = 8,
		DEBUG = 9,
		LUA = 10,
		SNAX = 11,
		TRACE = 12,
	}
	for name, number in pairs(expected) do
		check.equal(skynet["PTYPE_" .. name], number, name)
	end
end)

case("a_protocol_of_ones_own_carries_requests_and_answers", function()
	local service = child.start(function()
		skynet.register_protocol({
			name = "upper", -- the names of both sides need not agree, the ids do
			id = 100,
			unpack = function(pointer, size)
				return skynet.tostring(pointer, size):upper(), size
			end,
			pack = function(text)
				return "<" .. text .. ">"
			end,
			dispatch = function(session, _, text, size)
				if session ~= 0 then
					skynet.ret(("%s %d"):format(text, size))
				end
			end,
		})
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, address)
				skynet.retpack(skynet.call(address, "upper", "ping"))
			end)
		end)
	end)
	check.equal(skynet.call(service, "words", "a", "b"), "A,B 3")
	check.equal(skynet.call(service, 100, "by", "id"), "BY,ID 5")
	check.equal(skynet.send(service, "words", "x"), 0)
	skynet.dispatch("words", function(_, _, text)
		skynet.ret(text .. "!")
	end)
	check.equal({ skynet.call(service, "lua", skynet.self()) }, { "<PING>!", 7 })
end)

case("pack_may_return_a_block", function()
	skynet.register_protocol({
		name = "block",
		id = 101,
		pack = function(...)
			return skynet.pack(...)
		end,
		unpack = function(pointer, size)
			return skynet.unpack(pointer, size)
		end,
	})
	skynet.dispatch("block", function(_, _, ...)
		skynet.ret(skynet.pack(...))
	end)
	check.equal({ skynet.call(skynet.self(), "block", 1, nil, 3) }, { 1, nil, 3 })
end)

case("a_pack_function_that_fails_fails_only_the_send", function()
	local results = {
		none = {},
		number = { 5 },
		table = { {} },
		half = { skynet.self },
	}
	skynet.register_protocol({
		name = "broken",
		id = 102,
		pack = function(kind)
			if kind == "raise" then
				error("in pack")
			end
			return table.unpack(results[kind])
		end,
	})
	for _, f in ipairs({ skynet.send, skynet.call }) do
		check.misuse(
			"invalid param nil: the pack function of 'broken'",
			f,
			skynet.self(),
			"broken",
			"none"
		)
		check.misuse("invalid param number", f, skynet.self(), "broken", "number")
		check.misuse("invalid param table", f, skynet.self(), "broken", "table")
		check.misuse("invalid param function", f, skynet.self(), "broken", "half")
		check.raises("in pack", f, skynet.self(), "broken", "raise")
	end
	skynet.register_protocol({ name = "mute", id = 103 })
	check.misuse("protocol 'mute' has no pack function", skynet.send, skynet.self(), "mute")
	check.equal(skynet.rawsend(skynet.self(), "mute", "raw bytes go"), 0)
end)

case("an_unpack_function_that_fails_fails_only_the_call", function()
	skynet.register_protocol({
		name = "unreadable",
		id = 104,
		pack = skynet.packstring,
		unpack = function()
			error("in unpack")
		end,
		dispatch = function()
			skynet.ret("never")
		end,
	})
	handle_words()
	check.raises("call failed: .*in unpack", skynet.call, skynet.self(), "unreadable")
	check.equal(skynet.call(skynet.self(), "words", "next"), "next!")
end)

case("a_protocol_without_unpack_has_no_arguments", function()
	local count
	skynet.register_protocol({
		name = "bare",
		id = 105,
		pack = skynet.packstring,
		dispatch = function(...)
			count = select("#", ...)
			skynet.ret("answer")
		end,
	})
	check.equal(select("#", skynet.call(skynet.self(), "bare", 1, 2, 3)), 0)
	check.equal(count, 2)
end)

case("dispatch_tells_the_handler_and_replaces_it", function()
	local function first() end
	local function second() end
	skynet.register_protocol({ name = "handled", id = 106 })
	check.equal(skynet.dispatch("handled"), nil)
	check.equal(skynet.dispatch("handled", first), nil)
	check.equal(skynet.dispatch("handled"), first)
	check.equal(skynet.dispatch(106), first)
	check.equal(skynet.dispatch("handled", second), first)
	check.equal(skynet.dispatch("handled"), second)
	check.equal(skynet.dispatch("unheard of"), nil)
	check.equal(skynet.dispatch(250), nil)
	check.misuse("no protocol 'unheard of' is registered", skynet.dispatch, "unheard of", first)
	check.misuse("no protocol '250' is registered", skynet.dispatch, 250, first)
end)

case("a_request_without_handler_is_answered_with_an_error", function()
	local service = child.start(function()
		skynet.register_protocol({ name = "known", id = 100 })
		skynet.start(function() end)
	end)
	skynet.register_protocol({ name = "handled", id = 106 })
	check.raises("call failed: .*no handler", skynet.call, service, "lua", 1)
	check.raises(
		"call failed: .*no handler",
		skynet.call,
		service,
		"words",
		"known, not handled"
	)
	check.raises(
		"call failed: .*no handler",
		skynet.rawcall,
		service,
		"handled",
		"unknown there"
	)
end)

case("a_message_without_handler_is_logged", function()
	local service = child.start(function()
		skynet.start(function() end)
	end)
	local mark = log.mark()
	skynet.send(service, "words", "nobody listens")
	log.wait(
		mark,
		("Unknown request %%(no protocol registered, type 100%%) from :%08x"):format(
			skynet.self()
		)
	)
	skynet.send(service, "lua", 1, 2, 3)
	log.wait(mark, "Unknown request %(lua, type 10%)")
end)

case("frames_of_clients_without_handler_are_logged_once", function()
	local service = child.start(function()
		skynet.start(function() end)
	end)
	local mark = log.mark()
	skynet.register_protocol({ name = "client", id = skynet.PTYPE_CLIENT, pack = tostring })
	for connection = 1, 100 do
		skynet.redirect(service, service, "client", connection, "frame")
	end
	check.raises("no handler", skynet.call, service, "client", "a request")
	local text = "Unknown request %%(no protocol .-, type 3%%) from :%08x : 5 bytes, a frame"
	check.equal(#log.lines(mark, text:format(service)), 1)
	check.equal(#log.lines(mark, "Unknown request"), 1)
end)

case("unknown_requests_can_be_handled", function()
	local service = child.start(function()
		local list = {}
		local function first() end
		local function second(session, source, pointer, size, prototype)
			local text = skynet.tostring(pointer, size)
			list[#list + 1] = { session, source, text, prototype }
		end
		local is_right = skynet.dispatch_unknown_request(first) == nil
			and skynet.dispatch_unknown_request(second) == first
		skynet.register_protocol({ name = "known", id = 100 })
		skynet.start(function()
			skynet.dispatch("lua", function()
				skynet.sleep(0)
				skynet.retpack(list, is_right)
			end)
		end)
	end)
	local mark = log.mark()
	skynet.register_protocol({ name = "handled", id = 106 })
	skynet.send(service, "words", "first")
	skynet.rawsend(service, "handled", "second")
	local list, is_right = skynet.call(service, "lua")
	check.ok(is_right, "the previous handlers are returned")
	check.equal(
		list,
		{ { 0, skynet.self(), "first", "known" }, { 0, skynet.self(), "second", 106 } }
	)
	check.raises(
		"no handler",
		skynet.call,
		service,
		"words",
		"a request is refused all the same"
	)
	check.equal(log.lines(mark, "Unknown request"), {})
end)

case("unknown_responses_are_logged_or_handled", function()
	local function start(handles)
		return child.start(function(does_handle)
			local list = {}
			skynet.dispatch("lua", function()
				skynet.retpack(list)
			end)
			if does_handle then
				skynet.dispatch_unknown_response(function(session, source, ...)
					list[#list + 1] = { session, source, skynet.tostring(...) }
				end)
			end
			skynet.start(function() end)
		end, handles)
	end
	local handles, logs = start("yes"), start()
	local mark = log.mark()
	skynet.redirect(handles, 0, "response", 1 << 20, "late")
	skynet.redirect(logs, 0, "response", 1 << 20, "late")
	check.equal(skynet.call(handles, "lua"), { { 1 << 20, skynet.self(), "late" } })
	log.wait(
		mark,
		("%%[:%08x%%] Unknown response session 1048576 from :%08x"):format(
			logs,
			skynet.self()
		)
	)
	check.equal(#log.lines(mark, "Unknown response"), 1)
end)

case("errors_nobody_waits_for_are_ignored", function()
	local mark = log.mark()
	skynet.redirect(skynet.self(), 0, "error", 1 << 20, "no such call")
	skynet.redirect(skynet.self(), 1, "error", 0)
	skynet.sleep(0)
	check.equal(log.lines(mark, "Unknown"), {})
end)

case("an_error_message_fails_the_call_with_its_text", function()
	local service = child.start(function()
		skynet.register_protocol({ name = "ask", id = 107, unpack = skynet.tostring })
		skynet.start(function()
			skynet.dispatch("ask", function(session, source, text)
				skynet.ignoreret()
				skynet.redirect(source, 0, "error", session, text)
			end)
		end)
	end)
	skynet.register_protocol(text_protocol("ask", 107))
	check.raises("call failed: my reason$", skynet.call, service, "ask", "my reason")
	local text = check.raises("call failed", skynet.call, service, "ask", "")
	check.matches(text, "snlua script .*: it has answered with an error, and does not say")
end)

case("a_service_may_register_all_types", function()
	local service = child.start(function()
		local count = 0
		local reason
		for id = 0, 255 do
			local ok, text = pcall(skynet.register_protocol, {
				name = "type" .. id,
				id = id,
				unpack = skynet.unpack,
				dispatch = function(_, _, ...)
					skynet.retpack(id, ...)
				end,
			})
			if ok then
				count = count + 1
			elseif not text:find("already, as") then
				reason = text
			end
		end
		skynet.start(function()
			skynet.dispatch("lua", function()
				skynet.retpack(count, reason)
			end)
		end)
	end)
	local count, reason = skynet.call(service, "lua")
	check.equal(count, 251) -- 255 in all, four of which every service has
	skynet.register_protocol({ name = "number", id = 105 })
	check.matches(reason, "255 protocols are registered already")
	check.equal(
		{ skynet.unpack(skynet.rawcall(service, 105, skynet.packstring("x"))) },
		{ 105, "x" }
	)
end)

case("a_class_may_change_after_it_was_registered", function()
	local class = {
		name = "short lived " .. 1,
		id = 108,
		pack = skynet.packstring,
		unpack = skynet.unpack,
	}
	skynet.register_protocol(class)
	class.name, class.pack = nil, nil
	collectgarbage()
	collectgarbage()
	skynet.dispatch("short lived 1", function(_, _, ...)
		skynet.retpack(...)
	end)
	check.equal(skynet.call(skynet.self(), "short lived 1", 7), 7)
end)

case("wrong_classes_are_refused", function()
	local function refuse(pattern, class)
		check.misuse(pattern, skynet.register_protocol, class)
	end
	check.misuse("bad argument #1", skynet.register_protocol)
	check.misuse("bad argument #1", skynet.register_protocol, "words")
	refuse("bad argument #1.*field 'name' must be a string", {})
	refuse("bad argument #1.*field 'name' must be a string", { name = 5, id = 120 })
	refuse("bad argument #1.*field 'id' must be an integer", { name = "x" })
	refuse("bad argument #1.*field 'id' must be an integer", { name = "x", id = "120" })
	refuse("bad argument #1.*field 'id' must be an integer", { name = "x", id = 1.5 })
	refuse("bad argument #1.*field 'id' must be in 0..255", { name = "x", id = 256 })
	refuse("bad argument #1.*field 'id' must be in 0..255", { name = "x", id = -1 })
	refuse(
		"bad argument #1.*field 'pack' must be a function, not a string",
		{ name = "x", id = 120, pack = "x" }
	)
	refuse(
		"bad argument #1.*field 'unpack' must be a function, not a boolean",
		{ name = "x", id = 120, unpack = true }
	)
	refuse(
		"bad argument #1.*field 'dispatch' must be a function, not a table",
		{ name = "x", id = 120, dispatch = {} }
	)
	refuse("protocol id 10 is registered already, as 'lua'", { name = "x", id = 10 })
	refuse("protocol 'lua' is registered already", { name = "lua", id = 120 })
	refuse("protocol id 1 is registered already, as 'response'", { name = "x", id = 1 })
	refuse("protocol id 7 is registered already, as 'error'", { name = "x", id = 7 })
	check.equal(skynet.dispatch("x"), nil)
	check.equal(skynet.dispatch(120), nil)
end)

return cases
