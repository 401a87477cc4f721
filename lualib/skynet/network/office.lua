--- An office: a global name for which several services of the network stand, one of which holds it
--- at a time. When the holder ends, or its node leaves, another one takes its place. SERVICE and
--- DATACENTER are such names.
local skynet = require("skynet")

local office = {}

--- Which nodes have candidates for the offices of the framework: the one with the master, or all,
--- if the registry is outside of the network.
---@return boolean
function office.has_candidates()
	local is_master = skynet.getenv("standalone") ~= nil
	return is_master or (skynet.getenv("master") or ""):find("://", 1, true) ~= nil
end

--- After so long a request is made again that .cslave has refused, because too many others wait.
local RETRY_CS <const> = 100

local function ask(...)
	return skynet.call_within(false, ".cslave", "lua", ...)
end

--- Asks until there is an answer: who stands for an office, or follows it, does so for ever.
local function ask_until_answered(...)
	local has_complained = false
	while true do
		local ok, answer = pcall(ask, ...)
		if ok then
			return answer
		elseif not has_complained then
			has_complained = true
			local text, name = "error: no news of %s by now: %s", select(2, ...)
			skynet.error(text:format(name, answer))
		end
		skynet.sleep(RETRY_CS)
	end
end

--- Stands for an office from now on. Waits until it is known who holds it; what follows happens in
--- a task of its own.
---@param name string a global name
---@param on_holder? fun(holder: integer) called with each holder, this service or another one
function office.stand(name, on_holder)
	local function tell(holder)
		if on_holder then
			on_holder(holder)
		end
		return holder
	end
	local holder = tell(ask("REGISTER", name, skynet.self()))
	skynet.fork(function()
		while true do
			ask_until_answered("AWAITNAME", name, holder)
			holder = tell(ask_until_answered("REGISTER", name, skynet.self()))
		end
	end)
end

--- Does not stand for it, but hears of each holder. Returns at once.
---@param name string
---@param on_holder fun(holder: integer)
function office.follow(name, on_holder)
	skynet.fork(function()
		while true do
			local holder = ask_until_answered("QUERYNAME", name)
			on_holder(holder)
			ask_until_answered("AWAITNAME", name, holder)
		end
	end)
end

return office
