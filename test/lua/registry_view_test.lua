-- skynet.registry.view: the changes between two states are those that lead from one to the other.
local test = require("skynet.test")
local check = require("check")
local view = require("skynet.registry.view")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local function member(letter, address)
	return { incarnation = letter:rep(16), address = address or "a:1" }
end

local function words(changes)
	local list = {}
	for i, change in ipairs(changes) do
		list[i] = ("%s %s"):format(change.kind, change.id or change.name)
	end
	return list
end

case("equal_states_need_no_change", function()
	local mine = view.new({
		revision = 3,
		members = { member("a") },
		names = { X = 0x01000001 },
	})
	check.equal(mine:changes_to(mine:snapshot(), "why"), {})
end)

case("a_leave_ends_the_names_of_the_node", function()
	local mine = view.new({
		revision = 3,
		members = { member("a"), member("b") },
		names = { X = 0x01000001, Y = 0x02000001 },
	})
	mine:apply({ kind = "leave", id = 2, revision = 4 })
	check.equal(mine.names, { X = 0x01000001 })
	check.equal(mine.revision, 4)
end)

case("a_node_that_was_started_anew_leaves_and_joins", function()
	local mine = view.new({
		revision = 3,
		members = { member("a") },
		names = { X = 0x01000001 },
	})
	local new = { revision = 9, members = { member("b") }, names = { X = 0x01010001 } }
	local changes = mine:changes_to(new, "lost")
	check.equal(words(changes), { "leave 1", "join 1", "name X" })
	check.equal(changes[1].reason, "lost")
	check.equal(changes[3].revision, 9)
end)

case("another_address_is_no_other_node", function()
	local mine = view.new({ members = { member("a") } })
	local new = { revision = 9, members = { member("a", "b:2") }, names = {} }
	check.equal(words(mine:changes_to(new, "why")), { "join 1" })
end)

case("a_name_that_has_moved_is_given_back_first", function()
	local mine = view.new({ members = { member("a") }, names = { X = 0x01000001 } })
	local new = { revision = 9, members = { member("a") }, names = { X = 0x01000002 } }
	check.equal(words(mine:changes_to(new, "why")), { "unname X", "name X" })
end)

--- Any members and names.
local function random_state(revision)
	local state = { revision = revision, members = {}, names = {} }
	for id = 1, 4 do
		if test.random(1, 3) > 1 then
			local letter = ("abc"):sub(test.random(1, 3))
			state.members[id] = member(letter:sub(1, 1), "a:" .. test.random(1, 2))
		end
	end
	for _, name in ipairs({ "U", "V", "W", "X", "Y", "Z" }) do
		local id = test.random(1, 4)
		if state.members[id] then
			state.names[name] = id << 24 | test.random(1, 3)
		end
	end
	return state
end

case("the_changes_lead_from_any_state_to_any_other", function()
	for i = 1, 500 do
		local mine, goal = view.new(random_state(i)), random_state(i + 1)
		for _, change in ipairs(mine:changes_to(goal, "why")) do
			mine:apply(change)
		end
		check.equal(mine.members, goal.members)
		check.equal(mine.names, goal.names)
	end
end)

return cases
