--- The hosts file: names that need no name server. For skynet.dns.
local resolver = require("skynet.resolver")

--- What is behind it in the file is not read.
local SIZE_MAX <const> = 4 * 1024 * 1024

local hosts = {}

--- Adds the names of one line, `ADDRESS NAME ...`. Lines that are none are left out, as they are by
--- the system.
local function add_line(names, line)
	local address, rest = line:match("^%s*(%S+)%s+(.*)$")
	local family = address and resolver.family(address)
	if not family then
		return
	end
	for name in rest:gmatch("%S+") do
		name = name:lower()
		local of_name = names[name] or { [4] = {}, [6] = {} }
		names[name] = of_name
		table.insert(of_name[family], address)
	end
end

--- Reads a hosts file. One that can't be read has no names.
---@param path string
---@return table<string, table<4|6, string[]>> names by their small letters
function hosts.read(path)
	local names = {}
	local file <close> = io.open(path, "r")
	local text = file and file:read(SIZE_MAX) or ""
	for line in text:gmatch("[^\r\n]+") do
		add_line(names, (line:gsub("#.*", "")))
	end
	return names
end

return hosts
