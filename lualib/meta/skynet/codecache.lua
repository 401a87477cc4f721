---@meta skynet.codecache
-- Declarations of `require "skynet.codecache"`: the cache of compiled Lua files of the process.

---@class skynet.codecache
local codecache = {}

--- Forgets all files. What runs keeps its code. A file that has changed on disk is read anew
--- without this.
function codecache.clear() end

--- Lua's loadfile, from the cache: the global function of that name is this one.
codecache.loadfile = loadfile

return codecache
