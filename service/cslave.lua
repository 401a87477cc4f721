-- cslave: how a node is part of a network of nodes; known as ".cslave". It claims the node's place
-- in the registry (skynet.registry), launches the C service harbor, which carries the messages, and
-- keeps it, the core, and whoever asks informed of nodes (skynet.network.nodes) and global names
-- (skynet.network.names). Services use it through skynet.harbor.
--
--   REGISTER name, address     -> the owner     sent by skynet.register and skynet.name, and by the
--                                               .cslave of another node; who has the name keeps
--                                               it. Waits for the registry, or for the node of
--                                               the address
--   QUERYNAME name             -> address       waits until somebody has the name
--   AWAITNAME name, address    ->               waits until that service does not have it
--   CONNECT id                 ->               waits until the node is up
--   LINK id                    ->               waits until the node is not up
--   LINKMASTER                 -> reason        waits until the registry is lost
--   EVENTS                     -> number        of the last event: a node went up or down
--   EVENTS number              -> events, number    waits until there are some behind that one
--   MEMBERS                    -> { [id] = { address, incarnation, up } }
--   STAT                       -> { id, registry, name_count, nodes, harbor = { [id] = counters },
--                                   requests, registrations, missed_events }
--
-- It starts when the node is a member, and linked to all others that can be reached. It cannot
-- start without a registry; later it does without while that is away. A node that has lost its
-- place, or its harbor, ends.

local skynet = require("skynet")
require("skynet.manager")
local core = require("skynet.core")
local link = require("skynet.link")
local waiters = require("skynet.waiters")
local fields = require("skynet.network.fields")
local names_module = require("skynet.network.names")
local nodes_module = require("skynet.network.nodes")
local registry = require("skynet.registry")
local settings = require("skynet.network.settings")
local fail_start = require("skynet.network.start_failure")

local ID <const> = skynet.harbor(skynet.self())
--- How often to look how many handles were given.
local LOOK_CS <const> = 200
--- How long another node may take to register a name: it may find out first that the node of an
--- owner is lost.
local REGISTER_CS <const> = 2 * settings.timeout_cs()
local WAITER_LIMIT <const> = math.tointeger(tonumber(skynet.getenv("waiterlimit")))

local harbor ---@type integer its address
local backend ---@type skynet.registry.backend
local is_lost = false
local master_waiters = waiters.new()
local registering_count = 0
local refused_registrations = 0

-- Whatever floods the harbor's mailbox, its commands pass.
skynet.register_protocol({
	name = "harbor_command",
	id = skynet.PTYPE_SYSTEM,
	pack = function(text)
		return text
	end,
})

local function tell_harbor(text)
	skynet.send(harbor, "harbor_command", text)
end

local nodes = nodes_module.new(tell_harbor)
local names = names_module.new({
	id = ID,
	await_harbor = function()
		skynet.call(harbor, "harbor_command", "sync")
	end,
	unregister = function(name, handle)
		backend:unregister(name, handle)
	end,
})

--- Ends the node, which would do harm if it went on.
local function give_up(reason)
	skynet.error("error: this node ends: " .. reason)
	skynet.abort(1)
end

-- The registry ----------------------------------------------------------------------------------

local function set_base(base)
	core.command("LASTHANDLE", (":%x"):format(base))
end

local on_change = {}

function on_change.join(change)
	if change.id ~= ID then
		nodes:join(change.id, change.incarnation, change.address)
	end
end

function on_change.leave(change)
	names:leave(change.id)
	if change.id ~= ID then
		nodes:leave(change.id, change.reason)
	end
end

function on_change.name(change)
	names:set(change.name, change.handle)
end

function on_change.unname(change)
	names:clear(change.name)
end

function on_change.base(change)
	set_base(change.base)
end

local function on_lost(reason)
	is_lost = true
	skynet.error("Master disconnect: " .. reason)
	master_waiters:answer(reason)
end

local function on_back()
	is_lost = false
	skynet.error("Master is back")
end

--- Reports how many handles this node has given, in time for the registry never to give them to
--- another incarnation.
local function report_handles(base)
	local reported = base
	while true do
		skynet.sleep(LOOK_CS)
		local last = core.addresscommand("LASTHANDLE") or 0
		if (last - reported) & fields.LOCAL_MAX >= registry.BASE_STEP // 2 then
			reported = last
			backend:report(last)
		end
	end
end

-- The harbor ------------------------------------------------------------------------------------

local listening = {} ---@type { address: string? } and what the start waits for

local on_event = {}

function on_event.listen(address)
	listening.address = address
	skynet.wakeup(listening)
end

function on_event.up(id)
	nodes:up(math.tointeger(tonumber(id)))
end

function on_event.down(text)
	local id, reason = text:match("^(%d+) ?(.*)$")
	nodes:down(math.tointeger(tonumber(id)), reason)
end

skynet.register_protocol({
	name = "text",
	id = skynet.PTYPE_TEXT,
	pack = tostring,
	unpack = skynet.tostring,
	dispatch = function(_, source, text)
		local kind, rest = text:match("^(%a+) (.*)$")
		if source == harbor and on_event[kind] then
			on_event[kind](rest)
		end
	end,
})

--- Launches the harbor. Waits until it listens. Returns the address that the others use: the host
--- of the config, and the port that it has.
---@param process string
local function start_harbor(process)
	harbor = skynet.launch("harbor", ID, skynet.self())
	if not harbor then
		fail_start("cslave", "the harbor cannot start, for the reason above")
	end
	link.link(harbor, function(_, reason)
		give_up("its harbor has ended: " .. reason)
	end)
	tell_harbor("self " .. process)
	while not listening.address do
		skynet.wait(listening)
	end
	local host = skynet.getenv("address"):match("^(.*):%d+$")
	return host .. listening.address:match(":%d+$")
end

-- Requests --------------------------------------------------------------------------------------

local command = {}

local function check_node(id)
	if not fields.is_id(id) then
		error("bad argument 'id': a node, 1 to 255, expected, got " .. tostring(id), 0)
	elseif id == ID then
		error(("node %d is this node itself"):format(id), 0)
	end
end

local function check_name(name)
	if not fields.is_name(name) then
		local text = "bad argument 'name': a global name, 1 to 16 bytes, expected, got %s"
		error(text:format(fields.printable(name)), 0)
	end
end

--- For a service of this node. Returns the owner, or nil and a reason. Waits for the registry.
local function register_here(name, handle)
	if not core.command("DESCRIBE", (":%x"):format(handle)) then
		return nil, "there is no such service"
	end
	return backend:register(name, handle)
end

--- For a service of another node, which then sees to it that the name ends with the service. Waits
--- for the .cslave there, which is meant by the local number 0 of a node. Raises when that fails.
local function register_there(name, handle)
	local node = handle & ~fields.LOCAL_MAX
	local owner = skynet.call_within(REGISTER_CS, node, "lua", "REGISTER", name, handle)
	if not fields.is_handle(owner) then
		return nil, ("node %d answers with %s"):format(node >> 24, fields.printable(owner))
	end
	return owner
end

--- Those that wait are bounded like those that wait in lists.
local function register(name, handle)
	check_name(name)
	if not fields.is_handle(handle) then
		error("bad argument 'address': a handle expected, got " .. tostring(handle), 0)
	elseif registering_count >= WAITER_LIMIT then
		refused_registrations = refused_registrations + 1
		local text = "too many names wait to be registered: %d (config key waiterlimit)"
		error(text:format(registering_count), 0)
	end
	local register_at = fields.node_of(handle) == ID and register_here or register_there
	registering_count = registering_count + 1
	local ok, owner, reason = pcall(register_at, name, handle)
	registering_count = registering_count - 1
	if not (ok and owner) then
		local text = "the global name %s cannot be registered for :%08x: %s"
		error(text:format(name, handle, ok and reason or owner), 0)
	end
	return owner
end

function command.REGISTER(session, name, handle)
	if session ~= 0 then
		skynet.retpack(register(name, handle))
		return
	end
	local ok, owner = pcall(register, name, handle)
	if not ok then
		skynet.error("error: " .. owner)
	elseif owner ~= handle then
		skynet.error(("error: the global name %s is taken by :%08x"):format(name, owner))
	end
end

function command.QUERYNAME(_, name)
	check_name(name)
	names:answer_owner(name)
end

function command.AWAITNAME(_, name, handle)
	check_name(name)
	names:answer_loss(name, handle)
end

function command.CONNECT(_, id)
	check_node(id)
	nodes:answer_up(id)
end

function command.LINK(_, id)
	check_node(id)
	nodes:answer_down(id)
end

function command.LINKMASTER()
	if is_lost then
		skynet.retpack("it is lost already")
	else
		master_waiters:add()
	end
end

function command.EVENTS(_, number)
	if number ~= nil and math.type(number) ~= "integer" then
		error("bad argument 'number': the number of an event expected", 0)
	end
	nodes:answer_events(number)
end

function command.MEMBERS()
	skynet.retpack(nodes:list())
end

--- What the harbor counts: a line for each node, of words `key=value`; the first one is this node.
local function harbor_counters()
	local counters = {}
	for line in skynet.call(harbor, "text", "stat"):gmatch("[^\n]+") do
		local values = {}
		for key, value in line:gmatch("(%S+)=(%S*)") do
			values[key] = math.tointeger(tonumber(value)) or value
		end
		counters[values.node] = values
	end
	return counters
end

function command.STAT()
	skynet.retpack({
		id = ID,
		registry = backend:status(),
		name_count = names:count(),
		nodes = nodes:list(),
		harbor = harbor_counters(),
		requests = waiters.stat(),
		registrations = { waiting = registering_count, refused = refused_registrations },
		missed_events = nodes:missed_count(),
	})
end

-- The start and the end -------------------------------------------------------------------------

--- When this service ends, because the node stops, the others hear of it at once.
setmetatable(command, {
	__gc = function()
		if backend then
			backend:close()
		end
	end,
})

--- Takes over what the registry knows when this node joins.
local function take_over(snapshot)
	for id, member in pairs(snapshot.members) do
		if id ~= ID then
			nodes:join(id, member.incarnation, member.address)
		end
	end
	names:begin(snapshot.names)
end

--- A number that no other process has drawn.
local function draw_incarnation()
	local crypt = require("skynet.crypt")
	return crypt.hexencode(crypt.randomkey())
end

--- Makes this node a member. Waits.
local function join()
	local url = skynet.getenv("master")
	skynet.error("slave connect to master " .. url:gsub("//[^/]*@", "//")) -- without a password
	local incarnation = skynet.getenv("harbor_incarnation") or draw_incarnation()
	backend = registry.open({
		url = url,
		id = ID,
		address = start_harbor(fields.process_of(incarnation)),
		incarnation = incarnation,
		timeout_cs = settings.timeout_cs(),
		join_timeout_cs = settings.join_timeout_cs(),
		secret = settings.secret(),
		tls = settings.tls(),
		on_change = function(change)
			on_change[change.kind](change)
		end,
		on_lost = on_lost,
		on_back = on_back,
		on_evicted = give_up,
	})
	local snapshot, reason = backend:join()
	if not snapshot then
		fail_start("cslave", ("node %d cannot join the network: %s"):format(ID, reason))
	end
	return snapshot
end

local function start()
	local snapshot = join()
	if snapshot.base > 0 then
		set_base(snapshot.base)
	end
	skynet.fork(report_handles, snapshot.base)
	take_over(snapshot)
	skynet.error(("Waiting for %d harbors"):format(nodes:count()))
	local missing = nodes:await_all(settings.timeout_cs())
	if missing > 0 then
		skynet.error(("error: %d harbors are out of reach by now"):format(missing))
	end
	skynet.error("Shakehand ready")
end

skynet.start(function()
	skynet.call_timeout(false) -- what holds a node together has deadlines of its own
	start()
	skynet.dispatch("lua", function(session, _, name, ...)
		local run = command[name]
		if not run then
			error("Unknown command " .. tostring(name), 0)
		end
		run(session, ...)
	end)
	skynet.register(".cslave")
end)
