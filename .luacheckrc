-- What `make lint` asks of Lua: no globals, nothing unused, nothing shadowed.
std = "lua54"
codes = true
max_line_length = 100
-- A name that begins with an underscore is unused on purpose.
ignore = { "21[1-4]/_.*", "231/_.*" }
exclude_files = { "build" }
-- What the loader tells each service about itself; the only globals there are.
read_globals = { "SERVICE_NAME", "SERVICE_PATH" }
files["lualib/loader.lua"] = { globals = { "SERVICE_NAME", "SERVICE_PATH" } }

-- A config file is a list of global assignments; all it may use is include.
local config = {
	std = "none",
	read_globals = { "include" },
	allow_defined_top = true,
	ignore = { "131" },
}
files["**/config.lua"] = config
files["**/config_*.lua"] = config
files["**/config.*.lua"] = config
