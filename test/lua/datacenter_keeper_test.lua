-- skynet.datacenter.keeper: the tree of the datacenter, kept where it survives whoever keeps it.
local skynet = require("skynet")
local check = require("check")
local data_place = require("data_place")
local keeper_module = require("skynet.datacenter.keeper")
local tree = require("skynet.datacenter.tree")
local begin = require("tasks").begin

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local LIMIT_CS <const> = 500

--- A keeper that does not hold the office yet.
local function new_keeper(place, name)
	local told = { sets = {}, reads = 0, away = {} }
	local keeper = keeper_module.new({
		data = place:open(name),
		limit_cs = LIMIT_CS,
		on_set = function(_, keys, count, value)
			local copy = skynet.unpack(skynet.packstring(value))
			table.insert(told.sets, { keys[count], copy })
		end,
		on_read = function()
			told.reads = told.reads + 1
		end,
		on_away = function(reason)
			table.insert(told.away, reason)
		end,
	})
	return keeper, told
end

--- A place, and a keeper that holds it.
local function new_pair()
	local place = data_place.new()
	place.office = "a"
	local keeper, told = new_keeper(place, "a")
	keeper:note_holder(true)
	return place, keeper, told
end

local function set(keeper, ...)
	local count = select("#", ...) - 1
	return keeper:set({ ... }, count, (select(count + 1, ...)))
end

case("what_was_set_is_there_for_the_next_one", function()
	local place, first, told = new_pair()
	check.equal(set(first, "a", 1), nil)
	check.equal(set(first, "a", { x = 2 }), 1)
	check.equal(set(first, "a", "x", nil), 2)
	check.equal(set(first, "a", "y", "z", false), nil)
	check.equal(told.sets, { { "a", 1 }, { "a", { x = 2 } }, { "x" }, { "z", false } })
	local second = new_keeper(place, "b")
	place.office = "b"
	second:note_holder(true)
	check.equal(second:read(), { a = { y = { z = false } } })
	check.equal(set(second, "a", "y", "z", 4), false)
end)

case("who_was_replaced_and_does_not_know_cannot_write", function()
	local place, first, told = new_pair()
	set(first, "a", 1)
	local second = new_keeper(place, "b")
	place.office = "b"
	second:note_holder(true)
	set(second, "a", 2)
	check.raises("it may not be set: another one has taken it", set, first, "a", 3)
	check.equal(second:read(), { a = 2 })
	-- Now it has looked, and knows.
	check.raises("the datacenter is not here: b has it", first.read, first)
	check.raises("the datacenter is not here: b has it", set, first, "a", 3)
	check.ok(#told.away > 0)
	-- Until it is its turn again.
	place.office = "a"
	first:note_holder(true)
	check.equal(first:read(), { a = 2 })
	check.equal(set(first, "a", 3), 2)
end)

case("who_is_told_that_another_one_has_it_has_nothing", function()
	local place, first, told = new_pair()
	set(first, "a", 1)
	place.office = "b"
	first:note_holder(false, "b has it")
	check.equal(told.away, { "the datacenter is not here: b has it" })
	check.raises("the datacenter is not here: b has it", first.read, first)
end)

case("who_has_it_still_does_not_read_again", function()
	local place, first, told = new_pair()
	set(first, "a", 1)
	first:note_holder(true)
	check.equal(set(first, "a", 2), 1)
	check.equal(told.reads, 1)
	place.head = {} -- somebody else had it meanwhile
	first:note_holder(true)
	check.equal(set(first, "a", 3), 2)
	check.equal(told.reads, 2)
end)

case("many_at_once_are_written_together", function()
	local place, keeper = new_pair()
	set(keeper, "all", {})
	place.writes = 0
	local waits = {}
	for i = 1, 60 do
		waits[i] = begin(set, keeper, "all", i, i)
	end
	for _, wait in ipairs(waits) do
		check.equal({ wait() }, { true, nil })
	end
	check.ok(place.writes <= 1 + 60 // place.changes + 1, "too many writes: " .. place.writes)
	check.equal(#keeper:read().all, 60)
end)

case("those_that_concern_each_other_keep_their_order", function()
	local place, keeper = new_pair()
	local waits = {
		begin(set, keeper, "a", 1),
		begin(set, keeper, "a", { x = 1 }),
		begin(set, keeper, "a", "x", 2),
		begin(set, keeper, "a", "x", "y", 3),
		begin(set, keeper, "b", "c", 1), -- makes the branch
		begin(set, keeper, "b", "d", 2),
		begin(set, keeper, "a", nil),
		begin(set, keeper, "a", "x", 5),
		begin(set, keeper, "z", nil),
	}
	local function ends(i, ...)
		check.equal({ waits[i]() }, { ... }, "number " .. i)
	end
	ends(1, true, nil)
	ends(2, true, 1)
	ends(3, true, 1)
	ends(4, false, "'x' holds a value, so nothing can be set below it")
	ends(5, true, nil)
	ends(6, true, nil)
	ends(7, true, { x = 2 })
	ends(8, true, nil)
	ends(9, true, nil)
	check.equal(keeper:read(), { a = { x = 5 }, b = { c = 1, d = 2 } })
	check.ok(place.writes < 8)
end)

case("what_is_too_large_changes_nothing", function()
	local place, keeper = new_pair()
	set(keeper, "a", 1)
	local text = ("x"):rep(place.bytes)
	check.raises("have 10%d%d bytes, more than the 1000 that can", set, keeper, "a", text)
	check.raises("have %d+ bytes, more than", set, keeper, text, 1)
	check.raises("have %d+ bytes, more than", set, keeper, "b", { text })
	local keys = {}
	for i = 1, place.changes + 1 do
		keys[i] = i
	end
	check.raises("needs 21 changes, more than the 20", keeper.set, keeper, keys, #keys, 1)
	check.equal(place.writes, 1)
	check.equal(keeper:read(), { a = 1 })
	check.equal(set(keeper, "a", text:sub(1, 900)), 1)
end)

case("while_the_place_is_away_reads_go_on_and_writes_fail", function()
	local place, keeper = new_pair()
	set(keeper, "a", 1)
	place.is_away = true
	local first, second = begin(set, keeper, "a", 2), begin(set, keeper, "a", 3)
	skynet.yield()
	check.equal(keeper:read(), { a = 1 })
	check.equal({ first() }, { false, "it is not known whether it is set: away" })
	local ok, reason = second()
	check.equal(ok, false)
	check.matches(reason, "it is not set: the registry does not answer")
	check.raises("it is not set: the registry does not answer: away", set, keeper, "a", 4)
	check.equal(keeper:read(), { a = 1 })
	place.is_away = false
	check.equal(set(keeper, "a", 5), 1)
	check.equal(keeper:read(), { a = 5 })
end)

case("what_cannot_be_read_yet_is_waited_for", function()
	local place = data_place.new()
	place.office, place.is_away = "a", true
	local keeper, told = new_keeper(place, "a")
	keeper:note_holder(true)
	local read, write = begin(keeper.read, keeper), begin(set, keeper, "b", 1)
	check.equal({ read() }, { false, "the registry does not answer" })
	check.equal({ write() }, { false, "it is not set: the registry does not answer" })
	read, write = begin(keeper.read, keeper), begin(set, keeper, "a", 1)
	skynet.sleep(100)
	place.is_away = false
	check.equal({ write() }, { true, nil })
	check.equal({ read() }, { true, { a = 1 } })
	check.equal(told.reads, 1)
end)

case("a_write_of_which_nothing_is_known_is_looked_for", function()
	local place, keeper, told = new_pair()
	set(keeper, "a", 1)
	place.fault = function()
		place.fault = function() end
		return "lost"
	end
	check.raises("it is not known whether it is set: lost", set, keeper, "a", 2)
	check.equal(set(keeper, "a", 3), 2) -- it was
	check.equal(told.reads, 2)
	place.fault = function()
		place.fault = function() end
		return "late"
	end
	check.raises("it is not known whether it is set: late", set, keeper, "a", 4)
	place.fault = function() end
	check.ok(set(keeper, "a", 5) ~= nil)
	skynet.sleep(10000)
	check.equal(set(keeper, "a", 6), 5) -- it does not come through any more
end)

case("too_many_that_wait_are_refused", function()
	local place, keeper = new_pair()
	keeper:read()
	place.is_away = true
	local limit = math.tointeger(tonumber(skynet.getenv("waiterlimit")))
	local waits = {}
	for i = 1, limit do
		waits[i] = begin(set, keeper, i, i)
	end
	skynet.yield()
	check.raises("too many requests wait: 500", set, keeper, "more", 1)
	place.is_away = false
	for _, wait in ipairs(waits) do
		wait()
	end
	check.equal(set(keeper, "more", 2), nil)
end)

-- Everything at once -----------------------------------------------------------------------------

local KEYS <const> = { "x", "y", 1, 1.5, true }

local function random_value()
	return ({ 1, "t", false, { x = 1, y = { x = 2 } }, { 5 } })[math.random(6)]
end

local function copy_of(value)
	return value ~= nil and skynet.unpack(skynet.packstring(value)) or value
end

--- What a task may find below its key: while it is not known whether a value was set, either.
local function new_model()
	return { states = { {} } }
end

local function is_equal(a, b)
	return (pcall(check.equal, a, b))
end

--- A set has been made: only those states are left that had this former value.
local function note_done(model, keys, count, value, former)
	local left = {}
	for _, state in ipairs(model.states) do
		local ok, before = pcall(tree.set, state, keys, count, copy_of(value))
		if ok and is_equal(before, former) then
			left[#left + 1] = state
		end
	end
	check.ok(#left > 0, "a former value that never was")
	model.states = { left[1] }
	for i = 2, #left do
		if not is_equal(left[i], left[1]) then
			table.insert(model.states, left[i])
		end
	end
end

--- Nobody knows whether it was.
local function note_doubt(model, keys, count, value)
	for i = 1, #model.states do
		local state = copy_of(model.states[i])
		if pcall(tree.set, state, keys, count, copy_of(value)) then
			table.insert(model.states, state)
		end
	end
end

local function check_found(model, found)
	for _, state in ipairs(model.states) do
		if is_equal(found, state.mine) then
			return
		end
	end
	check.equal(found, model.states[1].mine)
end

--- One set, or one look, at the present holder.
local function step(world, model, id)
	local keeper = world.keepers[world.place.office]
	local keys, count = { id, "mine" }, math.random(2, 4)
	for i = 3, count do
		keys[i] = KEYS[math.random(#KEYS)]
	end
	if math.random(3) == 1 then
		local ok, root = pcall(keeper.read, keeper)
		if ok and world.keepers[world.place.office] == keeper then
			check_found(model, tree.find(root, { id, "mine" }, 2))
		end
		return
	end
	local value = random_value()
	local ok, former = pcall(keeper.set, keeper, keys, count, value)
	table.remove(keys, 1) -- the model has only what is below
	if ok then
		world.count = world.count + 1
		note_done(model, keys, count - 1, value, former)
	elseif former:find("known") or former:find("may not be") then
		note_doubt(model, keys, count - 1, value)
	end
end

--- Moves the office, or has the place away for a while.
local function disturb(world)
	local place = world.place
	skynet.sleep(math.random(200))
	if math.random(4) == 1 then
		place.is_away = true
		skynet.sleep(math.random(2 * LIMIT_CS))
		place.is_away = false
		return
	end
	local next_one = ({ "a", "b", "c" })[math.random(3)]
	place.office = next_one
	world.keepers[next_one]:note_holder(true)
	skynet.sleep(math.random(5))
	for name, keeper in pairs(world.keepers) do
		if name ~= next_one and math.random(5) > 1 then -- else it does not hear of it
			keeper:note_holder(false, next_one .. " has it")
		end
	end
end

case("no_value_is_lost_whatever_happens", function()
	local place = data_place.new()
	local world = { place = place, keepers = {}, count = 0 }
	place.delay_cs = function()
		return math.random(0, 3)
	end
	place.fault = function()
		return ({ "lost", "late" })[math.random(40)]
	end
	place.office = "a"
	for _, name in ipairs({ "a", "b", "c" }) do
		world.keepers[name] = new_keeper(place, name)
	end
	local is_over, waits = false, {}
	for id = 1, 5 do
		waits[id] = begin(function()
			local model = new_model()
			while not is_over do
				step(world, model, id)
				skynet.sleep(math.random(0, 2))
			end
			return model
		end)
	end
	for _ = 1, 40 do
		disturb(world)
	end
	is_over = true
	place.fault = function() end
	for id, wait in ipairs(waits) do
		local ok, model = wait()
		check.ok(ok, model)
		local last = new_keeper(place, "last")
		place.office = "last"
		check_found(model, tree.find(last:read(), { id, "mine" }, 2))
	end
	check.ok(world.count > 100, world.count)
end)

return cases
