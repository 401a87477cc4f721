---@meta skynet.codecache
-- Declarations of `require "skynet.codecache"`: the cache of compiled Lua files of the process.
-- luacheck: ignore 212

---@class skynet.codecache
local codecache = {}

--- Forgets all files. What runs keeps its code. A file that has changed on disk is read anew
--- without this.
function codecache.clear() end

--- How this service uses the cache: "ON": it takes from it and adds to it; "EXIST": it only takes;
--- "OFF": neither.
---@param mode? "ON"|"EXIST"|"OFF" nil: only asks
---@return "ON"|"EXIST"|"OFF"|nil mode the present one, when it was only asked for
function codecache.mode(mode) end

--- Lua's loadfile, from the cache: the global function of that name is this one.
codecache.loadfile = loadfile

--- Loads the file of a name, from the cache: of the first template, with the name in the place of
--- its question marks, for which there is a file.
---@param name string
---@param templates string separated by semicolons, for example "./service/?.lua;./game/?/main.lua"
---@return function|nil chunk nil: there is no file, or it does not load
---@return string template the one that matched; without chunk: the reason
---@return string path of the file
function codecache.search(name, templates) end

return codecache
