---@meta skynet.memory
-- Declarations of `require "skynet.memory"`: what services are charged for, and what the allocator
-- tells. In a build without jemalloc nothing is charged, and what asks the allocator raises.
-- luacheck: ignore 212

---@class skynet.memory
local memory = {}

--- What this service is charged for up to now, its VM included.
---@return integer bytes
function memory.current() end

--- What each service is charged for, its VM included; others than this one up to the end of their
--- last turn. Messages on their way and what sockets have still to send belong to nobody.
---@return table<integer, integer> bytes address -> bytes
function memory.info() end

--- What all services are charged for.
---@return integer bytes
function memory.total() end

--- How many blocks the allocator has given out, to services and to the node; 0 where it does not
--- count. Those that a thread keeps at hand for later are among them.
---@return integer blocks
function memory.block() end

--- Logs a line for each service.
function memory.dump() end

--- Sums over the whole process: "stats.allocated", "stats.resident", "stats.retained",
--- "stats.mapped", "stats.active".
---@return table<string, integer> bytes
function memory.jestat() end

--- One value of jemalloc's, by the name that its manual has for it. Raises for a name it does not
--- know.
---@param name string
---@return integer|boolean
function memory.mallctl(name) end

--- Writes jemalloc's report to stderr.
---@param options? string letters that leave parts out, as malloc_stats_print takes them
function memory.dumpinfo(options) end

--- Writes a profile of the heap into a file that jemalloc names. Raises unless it was started with
--- profiling (MALLOC_CONF=prof:true).
function memory.dumpheap() end

--- Tells, or sets, whether the heap is being profiled. Setting raises unless it was started with
--- profiling.
---@param flag? boolean
---@return boolean
function memory.profactive(flag) end

return memory
