-- service_cell NAME: a service whose code is a function that comes in its first message, with the
-- function's arguments; service_provider sends it. The function takes the place of a main chunk: it
-- may call skynet.start or not, and may wait.

local skynet = require("skynet")

local name <const> = ...
require("skynet.internals").rename(name)

--- Runs the function. What it gives to skynet.init and skynet.start runs behind it.
local function run(code, ...)
	local main = assert(load(code, "=" .. name, "b"))
	local init, start <const> = skynet.init, skynet.start
	local inits, start_function = {}, nil
	local function add_init(f)
		if type(f) ~= "function" then
			init(f) -- raises
		elseif not require("skynet.require").add_init(f) then
			table.insert(inits, f) -- it is not of a module that is being loaded
		end
	end
	skynet.init, skynet.start = add_init, function(f)
		start_function = f
	end
	main(...)
	skynet.init, skynet.start = init, start
	for _, f in ipairs(inits) do
		f()
	end
	if start_function then
		start_function()
	end
end

local function refuse()
	error(("the service '%s' has no handler for this type of message"):format(name), 0)
end

skynet.start(function()
	skynet.dispatch("lua", function(_, _, code, ...)
		skynet.dispatch("lua", refuse)
		run(code, ...)
		skynet.retpack()
	end)
end)
