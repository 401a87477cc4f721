-- skynet.network.master: who is a member, who is refused, who has left; with sessions that are
-- tables, in virtual time.
local skynet = require("skynet")
local test = require("skynet.test")
local check = require("check")
local master = require("skynet.network.master")
local wire = require("skynet.network.wire")

local TIMEOUT_CS <const> = 500

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- A session that keeps what it is sent, without beats, and answers questions unless it is mute.
local function new_session(options)
	local session = { packets = {}, options = options or {}, is_open = true }
	function session:send(bytes)
		local packet = wire.unpack(bytes:sub(5))
		if packet[1] == "ask" and not self.options.is_mute then
			local books = self.options.master
			skynet.fork(books.handle, books, self, "alive", packet[2])
		elseif packet[1] ~= "beat" then
			table.insert(self.packets, packet)
		end
	end
	function session:close(reason)
		self.is_open, self.closed = false, reason
	end
	return session
end

local function incarnation(letter)
	return letter:rep(16)
end

--- Claims a place; returns the session, and what master:claim has returned.
local function claim(books, id, letter, options)
	options = options or {}
	options.master = books
	local session = new_session(options)
	local is_member, reason, is_taken = books:claim(session, {
		id = id,
		incarnation = incarnation(letter),
		address = options.address or ("127.0.0.1:%d"):format(1000 + id),
		number = options.number or 0,
		known = options.known,
	}, function()
		return session.is_open
	end)
	return session, is_member, reason, is_taken
end

--- Claims a place in a task of its own. Returns a function that waits for what comes of it:
--- whether it is a member, and the reason.
local function claim_beside(books, id, letter)
	local result
	skynet.fork(function()
		local _, is_member, reason = claim(books, id, letter)
		result = { is_member, reason }
	end)
	return function()
		test.eventually(function()
			return result
		end)
		return result
	end
end

--- The texts of the changes that a session was told.
local function changes(session)
	local list = {}
	for _, packet in ipairs(session.packets) do
		local change = packet[2]
		if packet[1] == "change" then
			local letter = (change.incarnation or ""):sub(1, 1)
			local what = change.id and change.id .. " " .. letter
				or ("%s %x"):format(change.name, change.handle)
			list[#list + 1] = change.kind .. " " .. what
		end
	end
	return list
end

--- Who has the names that a session has registered, by the numbers of its requests.
local function answers(session)
	local list = {}
	for _, packet in ipairs(session.packets) do
		if packet[1] == "answer" then
			list[packet[2]] = packet[3]
		end
	end
	return list
end

local function welcome(session)
	for _, packet in ipairs(session.packets) do
		if packet[1] == "welcome" then
			local base, snapshot, numbers, era = table.unpack(packet, 2, 5)
			return { base = base, snapshot = snapshot, numbers = numbers, era = era }
		end
	end
end

local function known(values)
	values.era = values.era or ("0"):rep(16)
	values.revision = values.revision or 10
	values.members = values.members or {}
	for id, letter in pairs(values.members) do
		local address = "127.0.0.1:" .. 1000 + id
		values.members[id] = { incarnation = incarnation(letter), address = address }
	end
	values.names = values.names or {}
	values.numbers = values.numbers or {}
	return values
end

case("members_are_told_of_each_other_in_one_order", function()
	local books = master.new(TIMEOUT_CS)
	local first = claim(books, 1, "a")
	local second = claim(books, 2, "b")
	books:handle(first, "register", 1, "LOG", 0x01000009)
	books:handle(second, "register", 1, "LOG", 0x02000009)
	books:handle(second, "register", 2, "CHAT", 0x0200000a)
	books:handle(first, "unregister", "LOG", 0x01000009)
	books:handle(second, "unregister", "LOG", 0x02000009) -- it is not his
	check.equal(changes(first), { "join 2 b", "name LOG 1000009", "name CHAT 200000a",
		"unname LOG 1000009" })
	check.equal(changes(second), { "name LOG 1000009", "name CHAT 200000a",
		"unname LOG 1000009" })
	local last = 0
	for _, packet in ipairs(first.packets) do
		if packet[1] == "change" then
			check.ok(packet[2].revision > last)
			last = packet[2].revision
		end
	end
	check.equal(welcome(second).snapshot.members[1].address, "127.0.0.1:1001")
end)

case("a_taken_name_stays_with_its_owner", function()
	local books = master.new(TIMEOUT_CS)
	local first, second = claim(books, 1, "a"), claim(books, 2, "b")
	books:handle(first, "register", 7, "LOG", 0x01000009)
	books:handle(second, "register", 8, "LOG", 0x02000009)
	books:handle(first, "register", 9, "LOG", 0x01000009)
	check.equal(answers(first), { [7] = 0x01000009, [9] = 0x01000009 })
	check.equal(answers(second), { [8] = 0x01000009 })
end)

case("a_name_whose_owner_is_away_is_decided_later", function()
	local books = master.new(TIMEOUT_CS)
	local first, second = claim(books, 1, "a"), claim(books, 2, "b")
	books:handle(second, "register", 1, "KEPT", 0x02000005)
	books:handle(second, "register", 2, "GIVEN", 0x02000006)
	books:lost(second)
	books:handle(first, "register", 7, "KEPT", 0x01000005)
	books:handle(first, "register", 8, "GIVEN", 0x01000006)
	check.equal(answers(first), {})
	local again = claim(books, 2, "b", { known = known({ names = { KEPT = 0x02000005 } }) })
	check.equal(answers(first), { [7] = 0x02000005, [8] = 0x01000006 })
	check.equal(welcome(again).snapshot.names, { KEPT = 0x02000005, GIVEN = 0x01000006 })
	check.equal(changes(again), {})
	-- The same when it does not come back.
	books:lost(again)
	books:handle(first, "register", 9, "KEPT", 0x01000009)
	check.equal(answers(first)[9], nil)
	skynet.sleep(TIMEOUT_CS)
	books:tick()
	check.equal(answers(first)[9], 0x01000009)
end)

case("who_asks_and_goes_away_gets_no_answer", function()
	local books = master.new(TIMEOUT_CS)
	local first, second = claim(books, 1, "a"), claim(books, 2, "b")
	books:handle(second, "register", 1, "GIVEN", 0x02000006)
	books:lost(second)
	books:handle(first, "register", 8, "GIVEN", 0x01000006)
	books:lost(first)
	claim(books, 2, "b", { known = known({}) })
	check.equal(books:snapshot().names, {})
end)

case("a_second_living_node_with_the_same_id_is_refused", function()
	local books = master.new(TIMEOUT_CS)
	local first = claim(books, 2, "a")
	local started = skynet.now()
	local second, is_member, reason, is_taken = claim(books, 2, "b")
	check.equal(is_member, false)
	check.equal(is_taken, true)
	check.matches(reason, "node 2 is there already, and lives; other nodes reach it at 127")
	check.equal(skynet.now(), started) -- it has answered at once
	check.equal(second.packets, {})
	check.equal(changes(first), {})
	check.equal(first.closed, nil)
end)

case("what_a_node_has_said_before_its_end_is_no_sign_of_life", function()
	local books = master.new(TIMEOUT_CS)
	local first = claim(books, 2, "a", { is_mute = true })
	local answer = claim_beside(books, 2, "b")
	skynet.sleep(1)
	books:handle(first, "beat") -- these come after the question, but were sent before
	books:handle(first, "alive", 0)
	skynet.sleep(1)
	books:lost(first)
	check.equal(answer(), { true })
end)

case("an_answer_to_a_question_that_comes_later_counts_for_none", function()
	local books = master.new(TIMEOUT_CS)
	local first = claim(books, 2, "a", { is_mute = true })
	books:handle(first, "alive", 1000)
	local started = skynet.now()
	local _, is_member = claim(books, 2, "b")
	check.equal({ is_member, skynet.now() - started }, { true, TIMEOUT_CS })
end)

case("a_node_that_does_not_answer_loses_its_place", function()
	local books = master.new(TIMEOUT_CS)
	local watcher = claim(books, 1, "w")
	local first = claim(books, 2, "a", { is_mute = true })
	books:handle(first, "register", 1, "LOG", 0x02000009)
	local started = skynet.now()
	local _, is_member = claim(books, 2, "b")
	check.equal(is_member, true)
	check.equal(skynet.now() - started, TIMEOUT_CS)
	check.equal(first.closed, "it does not answer")
	check.equal(changes(watcher), { "join 2 a", "name LOG 2000009", "leave 2 a", "join 2 b" })
end)

case("the_place_of_a_crashed_node_is_taken_at_once", function()
	local books = master.new(TIMEOUT_CS)
	local watcher = claim(books, 1, "w")
	local first = claim(books, 2, "a")
	check.equal(books:lost(first), true)
	local started = skynet.now()
	local second, is_member = claim(books, 2, "b")
	check.equal(is_member, true)
	check.ok(skynet.now() - started <= 50)
	check.equal(changes(watcher), { "join 2 a", "leave 2 a", "join 2 b" })
	check.equal(books:lost(first), false) -- its end is no news any more
	check.equal(changes(second), {})
end)

case("a_crash_while_somebody_claims_the_place_frees_it", function()
	local books = master.new(TIMEOUT_CS)
	local first = claim(books, 2, "a", { is_mute = true })
	local result = {}
	skynet.fork(function()
		local _, is_member = claim(books, 2, "b")
		result.is_member, result.cs = is_member, skynet.now()
	end)
	skynet.sleep(100)
	local crashed_cs = skynet.now()
	books:lost(first)
	test.eventually(function()
		return result.is_member
	end)
	check.ok(result.cs - crashed_cs <= 50)
end)

case("a_goodbye_while_somebody_claims_the_place_frees_it", function()
	local books = master.new(TIMEOUT_CS)
	local first = claim(books, 2, "a", { is_mute = true })
	local answer = claim_beside(books, 2, "b")
	skynet.sleep(100)
	books:handle(first, "bye")
	check.equal(answer(), { true })
end)

case("a_connection_that_breaks_costs_nothing_if_it_comes_back", function()
	local books = master.new(TIMEOUT_CS)
	local watcher = claim(books, 1, "w")
	local first = claim(books, 2, "a")
	books:handle(first, "register", 1, "LOG", 0x02000009)
	local told = #changes(watcher)
	books:lost(first)
	local claimed = {}
	skynet.fork(function()
		local _, is_member = claim(books, 2, "b")
		claimed.is_member = is_member
	end)
	skynet.sleep(20)
	local again, is_member = claim(books, 2, "a", {
		known = known({ members = { [2] = "a" }, names = { LOG = 0x02000009 } }),
	})
	check.equal(is_member, true)
	check.equal(welcome(again).base, 0)
	test.settle()
	check.equal(claimed.is_member, false) -- it has come back in time
	check.equal(#changes(watcher), told)
end)

case("who_is_away_too_long_has_left", function()
	local books = master.new(TIMEOUT_CS)
	local watcher = claim(books, 1, "w")
	local first = claim(books, 2, "a")
	books:lost(first)
	skynet.sleep(TIMEOUT_CS - 1)
	check.equal(books:tick(), {})
	skynet.sleep(1)
	check.equal(books:tick(), { 2 })
	check.equal(changes(watcher), { "join 2 a", "leave 2 a" })
	claim(books, 2, "a", { known = known({ names = { LOG = 0x02000009 } }) })
	check.equal(changes(watcher), { "join 2 a", "leave 2 a", "join 2 a", "name LOG 2000009" })
end)

case("who_says_goodbye_has_left_at_once", function()
	local books = master.new(TIMEOUT_CS)
	local watcher, first = claim(books, 1, "w"), claim(books, 2, "a")
	books:handle(first, "bye")
	check.equal(changes(watcher), { "join 2 a", "leave 2 a" })
	books:handle(first, "register", 1, "LATE", 0x02000009) -- it is nobody any more
	check.equal(#changes(watcher), 2)
end)

case("a_node_that_connects_twice_has_one_session", function()
	local books = master.new(TIMEOUT_CS)
	local first = claim(books, 2, "a")
	local again = claim(books, 2, "a", { known = known({}), address = "127.0.0.1:7" })
	check.equal(first.closed, "it has made another connection")
	check.equal(books:lost(first), false)
	check.equal(books:snapshot().members[2].address, "127.0.0.1:7")
	books:handle(again, "register", 1, "LOG", 0x02000009)
	check.equal(books:snapshot().names, { LOG = 0x02000009 })
end)

case("numbers_of_handles_are_never_given_twice", function()
	local books = master.new(TIMEOUT_CS)
	local first = claim(books, 2, "a")
	check.equal(welcome(first).base, 0)
	books:handle(first, "report", 40000)
	books:handle(first, "report", 30000) -- cannot be
	books:lost(first)
	local second = claim(books, 2, "b")
	check.equal(welcome(second).base, 40000 + 65536)
	books:lost(second)
	local third = claim(books, 2, "c")
	check.equal(welcome(third).base, 40000 + 2 * 65536) -- it has not reported anything
	for _, number in ipairs({ 0x700000, 0xe00000, 0xfffff0 }) do
		books:handle(third, "report", number)
	end
	books:lost(third)
	check.equal(welcome(claim(books, 2, "d")).base, 0xfffff0 + 65536 & 0xffffff)
end)

-- A master that begins anew --------------------------------------------------------------------

case("a_new_master_learns_from_those_who_come_back", function()
	local books = master.new(TIMEOUT_CS)
	local second = claim(books, 2, "b", {
		number = 7,
		known = known({
			members = { [1] = "a", [2] = "b", [3] = "c" },
			names = { LOG = 0x02000009, CHAT = 0x03000009, OLD = 0x01000009 },
			numbers = { [1] = 100, [2] = 5, [3] = 200 },
		}),
	})
	check.equal(welcome(second).snapshot.names, { LOG = 0x02000009, CHAT = 0x03000009,
		OLD = 0x01000009 })
	check.ok(books:snapshot().revision > 10)
	-- Node 3 has given CHAT back meanwhile; node 1 has crashed with the old master.
	claim(books, 3, "c", { known = known({ names = {} }) })
	local first, is_member = claim(books, 1, "n")
	check.equal(is_member, true)
	check.equal(welcome(first).base, 100 + 65536)
	check.equal(books:snapshot().names, { LOG = 0x02000009 })
	check.equal(changes(second), { "unname CHAT 3000009", "leave 1 a", "join 1 n" })
end)

case("those_who_do_not_come_back_to_a_new_master_have_left", function()
	local books = master.new(TIMEOUT_CS)
	local second = claim(books, 2, "b", { known = known({ members = { [3] = "c" } }) })
	skynet.sleep(TIMEOUT_CS)
	check.equal(books:tick(), { 3 })
	check.equal(changes(second), { "leave 3 c" })
end)

case("a_fresh_node_waits_until_the_others_may_be_back", function()
	local books = master.new(TIMEOUT_CS)
	local bases = {}
	skynet.fork(function()
		bases.base = welcome(claim(books, 1, "n")).base
	end)
	skynet.sleep(10)
	claim(books, 2, "b", { known = known({ members = { [1] = "a" }, numbers = { [1] = 50 } }) })
	test.eventually(function()
		return bases.base
	end)
	check.equal(bases.base, 50 + 65536)
end)

--- The bases that a session was told of later than with its welcome.
local function later_bases(session)
	local bases = {}
	for _, packet in ipairs(session.packets) do
		bases[#bases + 1] = packet[1] == "base" and packet[2] or nil
	end
	return bases
end

case("a_number_that_is_heard_of_late_still_counts", function()
	for _, number in ipairs({ 50, 0 }) do -- also where the new one begins itself
		local books = master.new(TIMEOUT_CS)
		local first = claim(books, 1, "n")
		for id = 2, 3 do
			local numbers = { [1] = number }
			claim(books, id, "b", {
				known = known({ members = { [1] = "a" }, numbers = numbers }),
			})
		end
		check.equal(later_bases(first), { number + 65536 }) -- once
		check.equal(books:snapshot().members[1].incarnation, incarnation("n"))
	end
end)

case("a_number_of_the_node_that_is_there_moves_nothing", function()
	local books = master.new(TIMEOUT_CS)
	local first = claim(books, 1, "n")
	claim(books, 2, "b", { known = known({ members = { [1] = "n" }, numbers = { [1] = 0 } }) })
	local third = claim(books, 3, "c", {
		known = known({ members = { [1] = "a" }, numbers = { [1] = 0 } }),
	})
	check.equal(later_bases(first), { 65536 })
	claim(books, 1, "n", { known = known({}) })
	claim(books, 2, "b", { known = known({ members = { [3] = "a" }, numbers = { [3] = 0 } }) })
	check.equal(later_bases(third), {}) -- it has not begun with this master
end)

case("what_a_master_has_said_itself_is_no_news_to_it", function()
	local books = master.new(TIMEOUT_CS)
	local watcher = claim(books, 1, "w")
	local first, second = claim(books, 2, "a"), claim(books, 3, "c")
	books:handle(second, "register", 1, "LOG", 0x03000005)
	books:lost(first)
	books:handle(second, "bye")
	local count = #changes(watcher)
	claim(books, 2, "a", {
		known = known({
			era = welcome(first).era,
			members = { [3] = "c" },
			names = { LOG = 0x03000005 },
		}),
	})
	check.equal(#changes(watcher), count) -- who has left stays away
	check.equal(books:snapshot().names, {})
end)

case("newer_knowledge_of_a_node_wins", function()
	local books = master.new(TIMEOUT_CS)
	claim(books, 2, "b", { known = known({ revision = 10, members = { [4] = "o" } }) })
	claim(books, 3, "c", { known = known({ revision = 12, members = { [4] = "p" } }) })
	check.equal(books:snapshot().members[4].incarnation, incarnation("p"))
	claim(books, 5, "e", { known = known({ revision = 11, members = { [4] = "o" } }) })
	check.equal(books:snapshot().members[4].incarnation, incarnation("p"))
end)

case("what_a_slave_knows_of_others_does_not_count_against_them", function()
	local books = master.new(TIMEOUT_CS)
	local first = claim(books, 1, "n")
	books:handle(first, "register", 1, "LOG", 0x01000005)
	claim(books, 2, "b", {
		known = known({
			members = { [1] = "a" },
			names = { LOG = 0x02000009, OLD = 0x01000009, LOST = 0x07000009 },
		}),
	})
	check.equal(books:snapshot().names, { LOG = 0x01000005 })
	check.equal(books:snapshot().members[1].incarnation, incarnation("n"))
end)

case("registrations_that_wait_have_a_limit", function()
	local limit <const> = 65536
	local books = master.new(TIMEOUT_CS)
	local first, second = claim(books, 1, "a"), claim(books, 2, "b")
	books:handle(second, "register", 1, "AWAY", 0x02000006)
	books:lost(second)
	for i = 1, limit do
		books.undecided[i] = { second } -- whom nobody answers
	end
	check.equal(books:registrations(), { waiting = limit, refused = 0 })
	first.packets = {}
	books:handle(first, "register", limit + 1, "AWAY", 0x01000006)
	local answer = first.packets[1]
	check.equal({ answer[1], answer[2], answer[3] }, { "answer", limit + 1, 0x02000006 })
	check.equal(books:registrations(), { waiting = limit, refused = 1 })
	books:leave(2, "test")
	check.equal(books:registrations(), { waiting = 0, refused = 1 })
	books.ledger.name_count = limit
	books:handle(first, "register", 1, "MORE", 0x01000006)
	check.equal(books:registrations(), { waiting = 0, refused = 2 })
end)

case("names_have_a_limit", function()
	local ledger = require("skynet.network.ledger")
	local limit <const> = ledger.NAME_LIMIT
	local books = ledger.new(function() end)
	books:join(1, incarnation("a"), "a:1")
	for i = 1, limit do
		books.view.names[("N%d"):format(i)] = 0x01000001
	end
	books.name_count = limit
	local owner, reason = books:register("MORE", 0x01000001)
	check.equal(owner, nil)
	check.matches(reason, "65536 global names, no more may be")
	books:unregister("N1", 0x01000001)
	check.equal(books:register("MORE", 0x01000001), 0x01000001)
	books:leave(1, "gone")
	books:join(1, incarnation("b"), "a:1")
	check.equal(books:register("FIRST", 0x01000001), 0x01000001)
	check.equal(books:register("ALIEN", 0x02000001), nil)
	check.ok(#wire.packet("welcome", 0, books.view:snapshot()) < wire.LIMIT)
end)

return cases
