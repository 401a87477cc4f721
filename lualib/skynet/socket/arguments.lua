--- What the functions of skynet.socket do with wrong arguments. Part of skynet.socket.
local streams = require("skynet.streams")

local TIMEOUT_MAX_CS <const> = 0x7fffffff

local arguments = {}

local function is_timeout(value)
	return value == nil
		or math.type(value) == "integer" and value >= 0 and value <= TIMEOUT_MAX_CS
end

--- Raises in the name of whoever has called the library's function.
function arguments.check_type(value, expected, name)
	if type(value) ~= expected then
		local text = "bad argument '%s' (%s expected, got %s)"
		error(text:format(name, expected, type(value)), 3)
	end
end

--- The same for a function that may be missing.
function arguments.check_callback(f)
	if f ~= nil and type(f) ~= "function" then
		error(("bad argument 'f' (function expected, got %s)"):format(type(f)), 3)
	end
end

--- The same for hundredths of a second, which may be missing.
function arguments.check_timeout(timeout)
	if not is_timeout(timeout) then
		local text = "bad argument 'timeout' (hundredths of a second expected, got %s)"
		error(text:format(tostring(timeout)), 3)
	end
end

--- The same for the id of a socket, which may be anybody's, or nobody's any more.
function arguments.check_id(id)
	if math.type(id) ~= "integer" then
		local text = "bad argument 'id' (the id of a socket expected, got %s)"
		error(text:format(math.type(id) or type(id)), 3)
	end
end

--- Raises unless this service holds the socket.
function arguments.check_held(id)
	if math.type(id) ~= "integer" or streams.invalid(id) then
		error(("this service does not hold socket %s"):format(id), 3)
	end
end

--- As `f(...)`, but what that raises is raised in the name of the caller's caller.
function arguments.checked(f, ...)
	local ok, result, reason = pcall(f, ...)
	if not ok then
		error(result, 3)
	end
	return result, reason
end

--- The same for arguments that have a further one in front of them: an error counts that, too.
function arguments.checked_behind_first(f, ...)
	local ok, result = pcall(f, ...)
	if not ok then
		local text = result:gsub("^bad argument #(%d+)", function(position)
			return ("bad argument #%d"):format(position + 1)
		end)
		error(text, 3)
	end
	return result
end

--- Takes options apart: those for the driver, and those for the library.
---@return table? options
---@return integer? timeout
---@return boolean? is_quiet
function arguments.split_options(options)
	if options == nil then
		return nil, nil
	elseif type(options) ~= "table" then
		error(("bad argument 'options' (table expected, got %s)"):format(type(options)), 3)
	end
	local timeout = options.timeout
	if not is_timeout(timeout) then
		error("bad argument 'options': timeout is no number of hundredths of a second", 3)
	end
	local is_quiet = options.quiet
	if is_quiet ~= nil and type(is_quiet) ~= "boolean" then
		error("bad argument 'options': quiet is neither true nor false", 3)
	end
	local rest
	for name, value in pairs(options) do
		if name ~= "timeout" and name ~= "quiet" then
			rest = rest or {}
			rest[name] = value
		end
	end
	return rest, timeout, is_quiet
end

return arguments
