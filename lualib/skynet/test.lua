--- What a test file uses, see docs/testing.md: cases, assertions, waits, and faults.
---
--- `skynet --test FILE` runs each case in a service of its own, on a simulated node: time is
--- virtual, and a seed decides the order of events. Times are in hundredths of a second (cs).
local skynet = require("skynet")
local deliver = require("skynet.deliver")
require("skynet.manager")
local simulation = require("skynet.simulation")
local check = require("skynet.test.check")
local service = require("skynet.test.service")

---@class skynet.test: skynet.test.check
local test = {}

for name, f in pairs(check) do
	test[name] = f
end

--- How long a case may take unless it says otherwise: a day of virtual time, five minutes
--- of real.
local DEADLINE_CS <const> = 8640000
local REAL_DEADLINE_CS <const> = 30000
--- How long `eventually` waits, and between two looks.
local EVENTUALLY_CS <const> = 6000
local LOOK_CS <const> = 1
local MS_PER_CS <const> = 10

-- Cases ----------------------------------------------------------------------------------------

---@class skynet.test.options
---@field deadline? integer how much virtual time the case may take, in cs; default a day
---@field real_deadline? integer how much real time, in cs; default five minutes

---@class skynet.test.case
---@field name string
---@field body fun()
---@field deadline integer
---@field real_deadline integer

--- The cases of the file, in their order; the runner reads them.
---@type skynet.test.case[]
test.cases = {}

local function check_option(options, key, default)
	local value = options[key]
	if value == nil then
		return default
	elseif math.type(value) ~= "integer" or value <= 0 then
		local text = "the option '%s' of a case must be a number of cs above 0, not %s"
		error(text:format(key, check.describe(value)), 3)
	end
	return value
end

--- Adds a case: body runs in a task of a service that has loaded the file anew, so what one case
--- does to a local of the file, the next does not see. It may wait. It passes unless it raises.
---@param name string
---@param body fun()
---@param options? skynet.test.options
function test.case(name, body, options)
	if type(name) ~= "string" or name == "" or name:find("%c") then
		error("a case needs a name as its first argument, one line of text", 2)
	elseif type(body) ~= "function" then
		error(("the case '%s' needs a function as its second argument"):format(name), 2)
	end
	for _, case in ipairs(test.cases) do
		if case.name == name then
			error(("there are two cases '%s'"):format(name), 2)
		end
	end
	options = options or {}
	table.insert(test.cases, {
		name = name,
		body = body,
		deadline = check_option(options, "deadline", DEADLINE_CS),
		real_deadline = check_option(options, "real_deadline", REAL_DEADLINE_CS),
	})
end

--- The seed of this run; nil with `--real`, where chance is real.
---@return integer?
function test.seed()
	return simulation.seed()
end

--- A random integer from low to high, which the seed decides.
---@param low integer
---@param high integer
---@return integer
function test.random(low, high)
	if math.type(low) ~= "integer" or math.type(high) ~= "integer" or low > high then
		error("test.random needs two integers, the smaller one first", 2)
	end
	if not simulation.seed() then
		return math.random(low, high)
	end
	local span = high - low + 1
	local drawn = simulation.random()
	return span == 0 and drawn or low + math.abs(math.fmod(drawn, span))
end

-- Services -------------------------------------------------------------------------------------

--- Starts a service whose script is the function f: its body is the main chunk, and it gets the
--- arguments as texts. Of the locals of the test it may use `skynet` and `test`. Returns when its
--- start function has. Waits.
---@param f fun(...: string)
---@param ... string|number
---@return integer? address nil when the service has ended by itself meanwhile
function test.service(f, ...)
	return deliver(pcall(skynet.newservice, "test_service", service.key(f), ...))
end

-- Waits ----------------------------------------------------------------------------------------

--- Calls f again and again until it returns something true, and returns that. Raises when there
--- was no such result within the time. Waits.
---@generic T
---@param f fun(): T
---@param limit? integer cs; default a minute
---@return T
function test.eventually(f, limit)
	local until_cs = skynet.now() + (limit or EVENTUALLY_CS)
	while true do
		local value = f()
		if value then
			return value
		elseif skynet.now() >= until_cs then
			local text = "not within %d cs: the last result was %s"
			error(text:format(limit or EVENTUALLY_CS, check.describe(value)), 2)
		end
		skynet.sleep(LOOK_CS)
	end
end

--- Waits until no service has anything to do but to wait for a timer or the outside. Takes 1 cs of
--- virtual time; timers that are due by then fire. With `--real` it is only a short sleep.
function test.settle()
	skynet.sleep(1)
end

--- Waits until a line is in the log that has the Lua pattern in it, and was logged since the case
--- began. Without such a line the case ends at its deadline.
---@param pattern string
---@return string line
function test.logged(pattern)
	return (skynet.call(".logger", "lua", "wait", 0, pattern))
end

--- All lines that were logged since the case began and have the Lua pattern in them.
---@param pattern? string default: all lines
---@return string[]
function test.log(pattern)
	return skynet.call(".logger", "lua", "lines", 0, pattern or "")
end

-- Faults ---------------------------------------------------------------------------------------

--- Ends a service at once, as a fault would.
---@param address skynet.address
function test.kill(address)
	skynet.kill(address)
end

---@class skynet.test.messages which messages a fault is for; without any field: all
---@field from? skynet.address the sender
---@field to? skynet.address the receiver
---@field type? skynet.type
---@field chance? number 0 to 1: which share of them; default 1
---@field times? integer the fault ends after so many; default: never

--- A fault that is at work.
---@class skynet.test.fault
---@field number integer
local fault = {}
fault.__index = fault

--- How many messages it has met so far.
---@return integer
function fault:count()
	return simulation.fault_count(self.number) or 0
end

--- Ends it. What is delayed already stays delayed.
function fault:stop()
	simulation.remove_fault(self.number)
end

local TYPES <const> = {
	text = skynet.PTYPE_TEXT,
	response = skynet.PTYPE_RESPONSE,
	multicast = skynet.PTYPE_MULTICAST,
	client = skynet.PTYPE_CLIENT,
	system = skynet.PTYPE_SYSTEM,
	harbor = skynet.PTYPE_HARBOR,
	socket = skynet.PTYPE_SOCKET,
	error = skynet.PTYPE_ERROR,
	queue = skynet.PTYPE_QUEUE,
	debug = skynet.PTYPE_DEBUG,
	lua = skynet.PTYPE_LUA,
	snax = skynet.PTYPE_SNAX,
	trace = skynet.PTYPE_TRACE,
	remote = skynet.PTYPE_REMOTE,
}

local FIELDS <const> = {
	from = true,
	to = true,
	type = true,
	chance = true,
	times = true,
	by = true,
	by_max = true,
}

local function handle_of(address, field)
	local handle = address
	if type(address) == "string" and address:sub(1, 1) == ":" then
		handle = tonumber(address:sub(2), 16)
	elseif type(address) == "string" then
		handle = skynet.localname(address)
	end
	if address ~= nil and math.type(handle) ~= "integer" then
		local text = "field '%s': there is no service %s"
		error(text:format(field, check.describe(address)), 4)
	end
	return handle
end

local function type_of(name)
	local number = TYPES[name] or name
	if number ~= nil and math.type(number) ~= "integer" then
		local text = "field 'type': there is no message type %s; use its number"
		error(text:format(check.describe(name)), 4)
	end
	return number
end

--- For the functions below, whose callers its errors blame: not to be called as a tail call.
local function add_fault(kind, messages, by, by_max)
	if type(messages) ~= "table" then
		error("a table that says which messages is expected; {} stands for all", 3)
	elseif not simulation.seed() then
		error("only a simulated node has faults: not with --real", 3)
	end
	for key in pairs(messages) do
		if not FIELDS[key] then
			error(("there is no field %s"):format(check.describe(key)), 3)
		end
	end
	local ok, number = pcall(
		simulation.fault,
		kind,
		handle_of(messages.from, "from"),
		handle_of(messages.to, "to"),
		type_of(messages.type),
		messages.chance,
		messages.times,
		by and by * MS_PER_CS,
		by_max and by_max * MS_PER_CS
	)
	if not ok then
		error(number, 3)
	end
	return setmetatable({ number = number }, fault)
end

--- Loses messages: nobody is told. Until it is stopped, or the case ends.
---@param messages skynet.test.messages
---@return skynet.test.fault
function test.drop(messages)
	return (add_fault("drop", messages))
end

---@class skynet.test.delayed: skynet.test.messages
---@field by integer cs
---@field by_max? integer cs: a random time from by to by_max; default: exactly by

--- Delays messages: those that are sent after them may overtake them.
---@param messages skynet.test.delayed
---@return skynet.test.fault
function test.delay(messages)
	local by = type(messages) == "table" and messages.by
	if math.type(by) ~= "integer" or by < 0 then
		error("field 'by': a number of cs expected", 2)
	end
	return (add_fault("delay", messages, by, messages.by_max or by))
end

--- Doubles messages: they come a second time, behind what waits in the mailbox then.
---@param messages skynet.test.messages
---@return skynet.test.fault
function test.duplicate(messages)
	return (add_fault("duplicate", messages))
end

return test
