--- The callbacks of a registry's user, as a backend gets them: none of them raises, so none ends
--- the task in which a backend reads. skynet.registry wraps those of each backend.
---
--- A change that could not be taken over, because it is broken or because on_change has raised,
--- would leave this node with another picture of the network than all others have, until it ends;
--- nothing would come to mend that. So it is the end of the membership: the backend is closed,
--- on_evicted says why, and nothing follows. An error in another callback concerns nobody's
--- picture: it is logged.
local skynet = require("skynet")
local fields = require("skynet.network.fields")

local callbacks = {}

--- What is wrong with a change of a backend.
local function problem_of(change)
	if type(change) == "table" and change.kind == "base" then
		if not fields.is_local_number(change.base) then
			return "its base is " .. fields.printable(change.base)
		end
		return nil
	end
	return fields.change_problem(change)
end

--- The change, for a line of the log.
local function describe(change)
	if type(change) ~= "table" then
		return fields.printable(change)
	end
	local words = {}
	for key, value in pairs(change) do
		words[#words + 1] = ("%s=%s"):format(fields.printable(key), fields.printable(value))
	end
	table.sort(words)
	return table.concat(words, " ")
end

--- The first line of what was raised, and all of it with the way there.
local function note_error(raised)
	local text = fields.printable((tostring(raised):match("^[^\n]*")))
	return { text = text, trace = debug.traceback(tostring(raised), 2) }
end

--- A copy of the options whose callbacks can be called without care.
---@param options skynet.registry.options
---@param close fun() closes the backend
---@return skynet.registry.options
function callbacks.guard(options, close)
	local guarded = {}
	for key, value in pairs(options) do
		guarded[key] = value
	end
	local is_over = false

	--- Returns nil, or what was raised.
	local function call(name, ...)
		local ok, raised = xpcall(options[name], note_error, ...)
		if not ok then
			local text = "error: registry: %s has failed: %s"
			skynet.error(text:format(name, raised.trace))
			return raised.text
		end
	end

	local function finish(reason)
		is_over = true
		skynet.fork(close)
		call("on_evicted", reason)
	end

	function guarded.on_change(change)
		if is_over then
			return
		end
		local problem = problem_of(change)
		if problem then
			problem = ("a broken change, %s (%s)"):format(problem, describe(change))
		else
			local raised = call("on_change", change)
			problem = raised and ("%s (%s)"):format(raised, describe(change))
		end
		if problem then
			finish("it cannot take over what the registry tells: " .. problem)
		end
	end

	for _, name in ipairs({ "on_lost", "on_back" }) do
		guarded[name] = function(...)
			if not is_over then
				call(name, ...)
			end
		end
	end

	function guarded.on_evicted(reason)
		if not is_over then
			is_over = true
			call("on_evicted", reason)
		end
	end

	return guarded
end

return callbacks
