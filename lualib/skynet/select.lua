--- Several requests at once: `for request, answer in skynet.request(a)(b):select() do ... end`.
---
--- Each request is a call in a task of its own, which puts its result into the set's list and wakes
--- whoever runs the loop.
local skynet = require("skynet")

--- A result whose turn in the loop has not come yet.
---@class skynet.request_set.result
---@field request table
---@field answer table|false|nil
---@field reason string?

---@class skynet.request_set
---@field timeout boolean? the loop has ended at its time limit
---@field private requests table[]
---@field private results skynet.request_set.result[] those that have not been taken yet
---@field private taken integer how many were taken
---@field private tasks table<thread, true> that wait for their answers
---@field private state "new"|"selected"|"closed"
---@field private misuse string? why a request could not be sent at all
local set_methods = {}

--- Adds a request: `{ address, type, arguments... }`. Any other fields are the caller's own. With
--- nil among the last arguments, n has to tell how many elements there are.
---@param request table
---@return skynet.request_set self
function set_methods:add(request)
	if type(request) ~= "table" then
		local text = "bad argument 'request': a table { address, type, ... } expected, got "
		error(text .. type(request), 2)
	elseif request[1] == nil or request[2] == nil then
		error("bad argument 'request': { address, type, ... } expected", 2)
	elseif request.n ~= nil and math.type(request.n) ~= "integer" then
		error("bad argument 'request': n must be the number of its elements", 2)
	elseif self.state ~= "new" then
		error("can't add a request: this set was selected already", 2)
	end
	self.requests[#self.requests + 1] = request
	return self
end

--- What skynet.call has raised, as the loop tells it. Texts that do not begin like this blame the
--- arguments, not the other side.
local function to_result(request, reason)
	if reason:find("^call to invalid address") then
		return { request = request, reason = reason }
	elseif reason:find("^call ") then
		return { request = request, answer = false, reason = reason }
	end
end

local function take_answer(self, request, ok, ...)
	self.tasks[coroutine.running()] = nil
	local result
	if ok then
		result = { request = request, answer = table.pack(...) }
	else
		result = to_result(request, tostring((...)))
		self.misuse = self.misuse or (not result and tostring((...)) or nil)
	end
	self.results[#self.results + 1] = result
	skynet.wakeup(self)
end

local function ask(self, request)
	local count = request.n or #request
	take_answer(self, request, pcall(skynet.call, table.unpack(request, 1, count)))
end

--- Waits until there is a result to take. Returns false when the time is over first.
local function wait_for_result(self, limit_cs, deadline_cs)
	while #self.results == self.taken and not self.misuse do
		if not limit_cs then
			skynet.wait(self)
		else
			local left_cs = math.min(limit_cs, deadline_cs - skynet.now())
			if skynet.sleep(left_cs, self) ~= "BREAK" then
				return false
			end
		end
	end
	return true
end

local function next_result(self, limit_cs, deadline_cs)
	if self.state == "closed" or self.taken == #self.requests then
		self:close()
		return nil
	end
	local is_late = limit_cs and self.taken > 0 and skynet.now() >= deadline_cs
	if is_late or not wait_for_result(self, limit_cs, deadline_cs) then
		self.timeout = true
		self:close()
		return nil
	elseif self.misuse then
		self:close()
		error(self.misuse, 3)
	end
	self.taken = self.taken + 1
	local result = self.results[self.taken]
	self.results[self.taken] = false -- the garbage collector's from now on
	return result.request, result.answer, result.reason
end

--- Sends all requests and gives their results as they come, for `for`. Once for each set. The loop
--- waits.
---
--- Each round has the request (the table itself), its answer and, without one, the reason. The
--- answer is a table with the values and their number n; false when the request has failed; nil
--- when there is no such service. Whatever has no result when the loop ends is given up.
---@param limit_cs? integer ends the loop after this time, and sets the field timeout
---@return fun(): table?, table|false|nil, string?
---@return nil
---@return nil
---@return skynet.request_set
function set_methods:select(limit_cs)
	if limit_cs ~= nil and math.type(limit_cs) ~= "integer" then
		error("bad argument 'limit_cs': hundredths of a second expected, an integer", 2)
	elseif self.state ~= "new" then
		error("this set of requests was selected already", 2)
	end
	self.state = "selected"
	for _, request in ipairs(self.requests) do
		self.tasks[skynet.fork(ask, self, request)] = true
	end
	-- One more, because the clock stands anywhere in the hundredth that it tells.
	local deadline_cs = limit_cs and skynet.now() + limit_cs + 1
	return function()
		return next_result(self, limit_cs, deadline_cs)
	end, nil, nil, self
end

--- Gives up what has no result yet, as leaving the loop does.
function set_methods:close()
	self.state = "closed"
	for task in pairs(self.tasks) do
		self.tasks[task] = nil
		skynet.killthread(task)
	end
end

local set_class = {
	__index = set_methods,
	__call = set_methods.add,
	__close = set_methods.close,
	__name = "skynet.request_set",
}

local module = {}

--- Makes a set of requests that are to be sent at once.
---@param request? table the first one; see add
---@return skynet.request_set
function module.request(request)
	local set = setmetatable({
		requests = {},
		results = {},
		taken = 0,
		tasks = {},
		state = "new",
	}, set_class)
	if request ~= nil then
		local ok, reason = pcall(set.add, set, request)
		if not ok then
			error(reason, 2)
		end
	end
	return set
end

return module
