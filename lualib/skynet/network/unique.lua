--- Services that are one of their kind in a whole network of nodes, as service_mgr knows them. Who
--- holds the office SERVICE (skynet.network.office) decides: it starts them, on its own node, with
--- the first request. The managers of the other nodes ask it, and keep the answer until the service
--- ends. A manager asks once for all requests of its node that want the same; they wait with it
--- (skynet.waiters), and when all of them have given up, so does it.
---
--- A new holder knows nothing, so it waits until the managers of all nodes that are up have
--- reported what runs on their nodes; for a node that does not report it waits as long as
--- harbor_timeout says. When a request fails because the holder is gone, it is made again to the
--- next one.
local skynet = require("skynet")
local harbor = require("skynet.harbor")
local link = require("skynet.link")
local office = require("skynet.network.office")
local settings = require("skynet.network.settings")
local signal = require("skynet.network.signal")
local waiters = require("skynet.waiters")

local NAME <const> = "SERVICE"
local AGAIN_CS <const> = 100

---@class skynet.network.unique
---@field private holder integer? of the office; nil: not known yet
---@field private is_ready boolean held here, and all have reported
---@field private news skynet.network.signal holder or is_ready have changed, or one has reported
---@field private managers table<integer, integer> addresses of those that have reported, by node
---@field private known table<string, integer> services that run, as other holders have told
---@field private questions table<string, skynet.waiters> what is being asked for those that wait
---@field private options skynet.network.unique.options
local unique = {}
local mt = { __index = unique }

---@class skynet.network.unique.options
---@field run fun(command: string, source: integer, name: string, ...: any) answers a request here
---@field adopt fun(name: string, address: integer) a service that runs on another node
---@field own fun(): table<string, integer> those that run on this node

-- The holder ------------------------------------------------------------------------------------

local function is_missing_reports(self)
	for id, node in pairs(harbor.members()) do
		if node.up and not self.managers[id] then
			return true
		end
	end
	return false
end

--- Waits until all nodes that are up have reported, but not for ever. Another one may have held the
--- office meanwhile: then there is another table of managers, and another task that waits.
local function await_reports(self)
	local deadline = skynet.now() + settings.timeout_cs()
	local managers = self.managers
	while is_missing_reports(self) and skynet.now() < deadline do
		self.news:wait(deadline - skynet.now())
	end
	if self.holder == skynet.self() and self.managers == managers then
		self.is_ready = true
		self.news:raise()
	end
end

--- Says to another holder what runs here; as often as it takes, while it is the holder. Waits. The
--- first try may fail without fault: its node is back, and the news of the next holder on its way.
local function report(self)
	local holder = self.holder
	local failures = 0
	while self.holder == holder do
		local own = self.options.own()
		local ok, problem = pcall(skynet.call_within, false, holder, "lua", "REPORT", own)
		if ok then
			return
		end
		failures = failures + 1
		if failures == 2 then
			local text = "error: no report to %s :%08x by now, it is tried on: %s"
			skynet.error(text:format(NAME, holder, problem))
		end
		self.news:wait(AGAIN_CS)
	end
end

local function on_holder(self, holder)
	self.holder = holder
	self.is_ready = false
	if holder ~= skynet.self() then
		-- Worth nothing when the office comes back here.
		self.managers = {}
	end
	self.news:raise()
	skynet.fork(holder == skynet.self() and await_reports or report, self)
end

-- Requests --------------------------------------------------------------------------------------

--- Keeps what another holder has told, until the service ends.
local function remember(self, name, address)
	self.known[name] = address
	link.link(address, function()
		if self.known[name] == address then
			self.known[name] = nil
		end
	end)
end

--- Asks the holder, which may be this one. Waits. Returns whether there is an answer, and the
--- answer; there is none when another one holds the office by now.
local function ask(self, ...)
	local holder = self.holder
	local ok, address, reason = pcall(skynet.call_within, false, holder, "lua", "HOLDER", ...)
	if ok and address ~= false then
		return true, address, reason
	elseif not ok and self.holder == holder then
		local text = "%s, on node %d, does not answer: %s"
		return true, nil, text:format(NAME, holder >> 24, address)
	elseif self.holder == holder then
		self.news:wait(AGAIN_CS) -- it has heard of another one before this node
	end
	return false
end

--- Asks whoever holds the office until there is an answer. Waits.
local function find_answer(self, name, ...)
	local is_answered, address, reason = false, nil, nil
	while not is_answered do
		if self.holder then
			is_answered, address, reason = ask(self, ...)
		else
			self.news:wait()
		end
	end
	if address and self.holder ~= skynet.self() then
		remember(self, name, address)
	end
	return address, reason
end

--- Has the request at hand wait for the answer to a question, which is asked unless it is already.
local function await_answer(self, command, name, ...)
	local key = command .. " " .. name
	local question, task = self.questions[key], nil
	if question then
		question:add()
		return
	end
	question = waiters.new(function()
		if command == "QUERY" and self.questions[key] == question then
			self.questions[key] = nil
			skynet.killthread(task)
		end
	end)
	question:add()
	self.questions[key] = question
	task = skynet.fork(function(...)
		local address, reason = find_answer(self, name, command, name, ...)
		self.questions[key] = nil
		question:answer(address, reason)
	end, ...)
end

--- Answers a request of this node. Waits for a holder.
---@param command "LAUNCH"|"QUERY"
---@param source integer
---@param name string
---@param ... any
function unique:answer(command, source, name, ...)
	if self.known[name] then
		skynet.retpack(self.known[name])
	elseif self.holder == skynet.self() and self.is_ready then
		self.options.run(command, source, name, ...)
	else
		await_answer(self, command, name, ...)
	end
end

--- Answers a request of another node's manager.
---@param command "LAUNCH"|"QUERY"
---@param source integer
---@param name string
---@param ... any
function unique:answer_manager(command, source, name, ...)
	while not self.holder or self.holder == skynet.self() and not self.is_ready do
		local _place <close> = waiters.enter()
		self.news:wait()
	end
	if self.holder == skynet.self() then
		self.options.run(command, source, name, ...)
	else
		skynet.retpack(false)
	end
end

--- Takes a report of another node's manager.
---@param source integer
---@param services table<string, integer>
function unique:take_report(source, services)
	local id = source >> 24
	if self.managers[id] ~= source then
		self.managers[id] = source
		link.link(source, function()
			if self.managers[id] == source then
				self.managers[id] = nil
			end
		end)
	end
	for name, address in pairs(services) do
		self.options.adopt(name, address)
	end
	self.news:raise()
end

--- The managers of other nodes, if the office is held here.
---@return table<integer, integer> addresses by node
function unique:others()
	return self.holder == skynet.self() and self.managers or {}
end

--- Begins to stand for the office, on a node that has candidates, or to follow who holds it. Waits
--- until a holder is known in the first case only; others may send requests and reports before.
function unique:begin()
	local function hear(holder)
		on_holder(self, holder)
	end
	if office.has_candidates() then
		office.stand(NAME, hear)
	else
		office.follow(NAME, hear)
	end
	harbor.watch(function(what, id)
		local holder = self.holder
		if what == "up" and holder and holder ~= skynet.self() and holder >> 24 == id then
			skynet.fork(report, self) -- it has forgotten this node while that was down
		end
	end)
end

local module = {}

---@param options skynet.network.unique.options
---@return skynet.network.unique
function module.new(options)
	return setmetatable({
		is_ready = false,
		news = signal.new(),
		managers = {},
		known = {},
		questions = {},
		options = options,
	}, mt)
end

return module
