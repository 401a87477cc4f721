--- Runs code inside a service that is at work, with a view into its functions.

local internals = require("skynet.internals")

local MESSAGE_TYPE_MAX <const> = 255

--- Adds the tables among the upvalues of f, and of the functions among them, to `found`, by their
--- names. Whatever is met first keeps its name.
local function find_tables(f, found, seen)
	if seen[f] then
		return
	end
	seen[f] = true
	local functions = {}
	for i = 1, debug.getinfo(f, "u").nups do
		local name, value = debug.getupvalue(f, i)
		if type(value) == "function" then
			functions[#functions + 1] = value
		elseif type(value) == "table" and name ~= "_ENV" and not found[name] then
			found[name] = value
		end
	end
	for _, inner in ipairs(functions) do
		find_tables(inner, found, seen)
	end
end

local function tables_of(...)
	local found, seen = {}, {}
	for _, f in ipairs({ ... }) do
		find_tables(f, found, seen)
	end
	return found
end

--- What the handlers of the service see, by the names of their message types.
local function tables_of_handlers()
	local found = {}
	for id = 0, MESSAGE_TYPE_MAX do
		local name, _, _, _, dispatch = internals.protocol(id)
		if dispatch then
			found[name] = tables_of(dispatch)
		end
	end
	return found
end

--- A print that puts its lines into a list.
local function collect_lines(output)
	return function(...)
		local words = table.pack(...)
		for i = 1, words.n do
			words[i] = tostring(words[i])
		end
		output[#output + 1] = table.concat(words, "\t")
	end
end

--- Runs a source with the service's globals, and beside them: `print`, which collects lines; `_P`,
--- the tables that the service's handlers use, as `_P.TYPE.NAME`, found among the upvalues of the
--- handlers and of the functions they use; `_U`, the same for the functions behind `arguments`.
---@param _skynet table
---@param source string
---@param filename? string for error texts
---@param arguments table of the source, with their number n
---@param ... function
---@return boolean ok false: it failed, and the last line says why
---@return string[] output the lines that it has printed
return function(_skynet, source, filename, arguments, ...)
	if type(source) ~= "string" then
		error(("bad argument 'source': string expected, got %s"):format(type(source)), 2)
	end
	local output = {}
	local environment = setmetatable({
		print = collect_lines(output),
		_U = tables_of(...),
		_P = tables_of_handlers(),
	}, { __index = _G })
	local name = filename and "@" .. filename or "=(inject)"
	local main, reason = load(source, name, "bt", environment)
	if not main then
		return false, { reason }
	end
	local ok, trace =
		xpcall(main, debug.traceback, table.unpack(arguments, 1, arguments.n or #arguments))
	if not ok then
		output[#output + 1] = tostring(trace)
	end
	return ok, output
end
