-- The declarations for editors (lualib/meta) say what there is: no function more, none less.
local skynet = require("skynet")
local check = require("check")

local cases = {}

local MODULES <const> = {
	["client.socket"] = "lualib/meta/client/socket.lua",
	md5 = "lualib/meta/md5.lua",
	skynet = "lualib/meta/skynet.lua",
	["skynet.codecache"] = "lualib/meta/skynet/codecache.lua",
	["skynet.core"] = "lualib/meta/skynet/core.lua",
	["skynet.coroutine"] = "lualib/meta/skynet/coroutine.lua",
	["skynet.crypt"] = "lualib/meta/skynet/crypt.lua",
	["skynet.memory"] = "lualib/meta/skynet/memory.lua",
	["skynet.netpack"] = "lualib/meta/skynet/netpack.lua",
	["skynet.profile"] = "lualib/meta/skynet/profile.lua",
	["skynet.resolver"] = "lualib/meta/skynet/resolver.lua",
	["skynet.simulation"] = "lualib/meta/skynet/simulation.lua",
	["skynet.socket"] = "lualib/meta/skynet/socket.lua",
	["skynet.socketdriver"] = "lualib/meta/skynet/socketdriver.lua",
}

for name, path in pairs(MODULES) do
	cases[#cases + 1] = {
		name .. "_is_declared",
		function()
			local module = require(name)
			local table_name = name:match("[^.]+$")
			local text = assert(io.open(path)):read("a")
			check.matches(text, "^%-%-%-@meta " .. name:gsub("%.", "%%.") .. "\n")
			local declared = {}
			for _, part in ipairs({ ".lua", "/udp.lua" }) do
				local file = io.open("lualib/" .. name:gsub("%.", "/") .. part)
				if file then -- what is written in Lua is declared where it is
					text = text .. file:read("a")
					file:close()
				end
			end
			local pattern = "\nfunction " .. table_name .. "%.([%w_]+)%("
			for function_name in text:gmatch(pattern) do
				declared[function_name] = true
			end
			for function_name in text:gmatch("\n" .. table_name .. "%.([%w_]+) = ") do
				declared[function_name] = true
			end
			for field in text:gmatch("\n%-%-%-@field (PTYPE_[%w_]+) integer") do
				check.equal(math.type(module[field]), "integer", field)
				declared[field] = true
			end
			for key in pairs(module) do
				check.ok(declared[key], "a declaration of " .. key)
			end
			for key in pairs(declared) do
				check.ok(module[key] ~= nil, "there is " .. key)
			end
		end,
	}
end

cases[#cases + 1] = {
	"the_numbers_in_the_declarations_are_right",
	function()
		local text = assert(io.open(MODULES.skynet)):read("a")
		local count = 0
		for field, number in text:gmatch("\n%-%-%-@field (PTYPE_[%w_]+) integer (%d+)") do
			check.equal(skynet[field], tonumber(number), field)
			count = count + 1
		end
		check.equal(count, 14)
	end,
}

cases[#cases + 1] = {
	"a_field_is_made_when_touched_and_can_be_replaced",
	function()
		check.equal(skynet.no_such_function, nil)
		check.equal(rawget(skynet, 1), nil)
		check.equal(skynet[1], nil)
		check.equal(skynet.hpc, skynet.hpc)
		local hpc <const> = skynet.hpc
		skynet.hpc = print
		check.equal(skynet.hpc, print)
		skynet.hpc = hpc
	end,
}

return cases
