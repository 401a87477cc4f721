--- `require` for coroutines: a module's chunk may wait, and so may its init functions. Whoever asks
--- for a module that another task is loading waits for it. The main chunk uses Lua's own `require`;
--- service-src/snlua/require.c decides.
local skynet = require("skynet")

local loaded <const> = package.loaded

--- A module that is being loaded.
---@class skynet.require.load
---@field name string
---@field owner thread who loads it
---@field inits function[] to run when its chunk has ended
---@field outer skynet.require.load? what the owner goes on loading after this
---@field waiters table[] tokens of those who wait for it
---@field is_run boolean? its chunk has ended
---@field is_done boolean? its init functions have, too
---@field reason string? why it failed

---@type table<string, skynet.require.load>
local loads = {}
---@type table<thread, skynet.require.load> what each coroutine loads now, the innermost module
local current = {}
---@type table<thread, skynet.require.load> whose end each coroutine waits for
local awaited = {}

--- The coroutine of the task that runs now. Inside a coroutine of "skynet.coroutine", whose waits
--- are the task's, it is the task's own.
---@return thread
local function running_task()
	local library = loaded["skynet.coroutine"]
	local task = library and library.thread()
	return task or (coroutine.running())
end

local load_methods = {}

--- The load has ended: well, with an error, or with its task.
function load_methods.__close(load, reason)
	loads[load.name] = nil
	current[load.owner] = load.outer
	if load.is_run and not load.is_done then
		loaded[load.name] = nil
	end
	load.reason = reason ~= nil and tostring(reason) or nil
	for _, token in ipairs(load.waiters) do
		skynet.wakeup(token)
	end
end

--- What Lua's own require does to find a module.
local function find_loader(name)
	local tried = {}
	for _, searcher in ipairs(package.searchers) do
		local loader, data = searcher(name)
		if type(loader) == "function" then
			return loader, data
		elseif type(loader) == "string" then
			tried[#tried + 1] = "\n\t" .. loader
		end
	end
	error(("module '%s' not found:%s"):format(name, table.concat(tried)), 5)
end

local function run_inits(load)
	local next_init = 1
	while load.inits[next_init] do -- they may add more
		load.inits[next_init]()
		next_init = next_init + 1
	end
end

local function load_module(name)
	local owner <const> = running_task()
	local load <close> = setmetatable({
		name = name,
		owner = owner,
		inits = {},
		outer = current[owner],
		waiters = {},
	}, load_methods)
	loads[name] = load
	current[owner] = load
	local loader, data = find_loader(name)
	local value = loader(name, data)
	if value ~= nil then
		loaded[name] = value
	elseif loaded[name] == nil then
		loaded[name] = true
	end
	load.is_run = true
	run_inits(load)
	load.is_done = true
	return loaded[name], data
end

--- Raises when the load waits, over whatever others, for this coroutine itself.
local function check_circle(load, me)
	local link = load
	while link do
		if link.owner == me then
			local text = "circular dependency: '%s' requires itself while it is loaded"
			error(text:format(load.name), 5)
		end
		link = awaited[link.owner]
	end
end

local function wait_for(load)
	local me <const> = running_task()
	if load.owner == me and loaded[load.name] then
		return loaded[load.name] -- asked for by one of its init functions
	end
	check_circle(load, me)
	local token = {}
	load.waiters[#load.waiters + 1] = token
	awaited[me] = load
	local _ <close> = setmetatable({}, {
		__close = function()
			awaited[me] = nil
		end,
	})
	skynet.wait(token)
	if not load.is_done then
		local text = "require %s failed, in the task that has begun to load it: %s"
		error(text:format(load.name, load.reason or "it was ended"), 4)
	end
	return loaded[load.name]
end

local module = { running_task = running_task }

--- The function that coroutines know as `require`. Waits when the module does.
---@param name string
---@return any value what the module has returned, or true
---@return any data where it was found, when it was loaded just now
function module.require(name)
	local load = loads[name]
	if load then
		return (wait_for(load)) -- no tail call: errors count the callers
	elseif loaded[name] then
		return loaded[name]
	end
	local value, data = load_module(name)
	return value, data
end

--- Has f run as soon as the chunk of the module has ended that this coroutine loads now.
---@param f function
---@return boolean is_added false: it loads none
function module.add_init(f)
	local load = current[running_task()]
	if not load then
		return false
	end
	load.inits[#load.inits + 1] = f
	return true
end

return module
