-- The short module names of old, in lualib/compat10.
local check = require("check")

local SHORT_NAMES <const> = [[
	cluster crypt datacenter dns memory mongo mqueue multicast mysql netpack profile redis
	sharedata sharemap snax socket socketchannel socketdriver stm
]]
local DATABASES <const> = { mongo = true, mysql = true, redis = true }

local cases = {}

for name in SHORT_NAMES:gmatch("%S+") do
	cases[#cases + 1] = {
		name .. "_is_what_it_is_called_today",
		function()
			local former = package.path
			package.path = "./lualib/compat10/?.lua;" .. former
			local ok, module = pcall(require, name)
			package.path = former
			local today = (DATABASES[name] and "skynet.db." or "skynet.") .. name
			local is_there, today_module = pcall(require, today)
			check.equal(ok, is_there, today)
			if ok then
				check.ok(rawequal(module, today_module), "the same module")
			else -- a module that is not there yet is named
				local pattern = "module '%s' not found"
				check.matches(module, pattern:format((today:gsub("%.", "%%."))))
			end
		end,
	}
end

return cases
