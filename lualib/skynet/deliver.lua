--- The results of a call that a library makes for its user, or its error. The place in the library
--- means nothing to the user: the line is blamed that has called the library's function. That one
--- ends with `return deliver(pcall(skynet.call, ...))`.
---@param ok boolean
---@param ... any
---@return any ...
return function(ok, ...)
	if not ok then
		error((...), 2) -- the library's function is no level: it has ended with this call
	end
	return ...
end
