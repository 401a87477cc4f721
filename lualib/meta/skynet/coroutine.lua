---@meta skynet.coroutine
-- Declarations of `require "skynet.coroutine"`: Lua's library of coroutines, whose coroutines may
-- wait: what runs in them may call, sleep and wait. Then all that have resumed each other are
-- suspended, up to the task, and go on when the wait is over.
-- luacheck: ignore 212

---@class skynet.coroutine
local coroutine = {}

--- Makes a coroutine.
---@param f function
---@return thread
function coroutine.create(f) end

--- Runs a coroutine until it yields or ends. Waits when what runs in it waits.
---@param co thread made here
---@param ... any
---@return boolean ok false: it raised, waits already, or was not made here; then a text follows
---@return any ... what it has yielded or returned
function coroutine.resume(co, ...) end

--- Suspends the running coroutine, which was resumed here.
---@param ... any
---@return any ... what it is resumed with
function coroutine.yield(...) end

--- Makes a coroutine and a function that resumes it, and raises what it raises.
---@param f function
---@return fun(...): ...
function coroutine.wrap(f) end

--- What a coroutine does. "blocked": it waits for a message, with its task.
---@param co thread
---@return "running"|"suspended"|"normal"|"dead"|"blocked"
function coroutine.status(co) end

--- The running coroutine.
---@return thread
---@return boolean is_main
function coroutine.running() end

--- Whether a coroutine can yield.
---@param co? thread by default the running one
---@return boolean
function coroutine.isyieldable(co) end

--- Ends a suspended or dead coroutine: its variables are closed. Raises for others.
---@param co thread
---@return boolean ok false: a variable raised when it was closed; then the error follows
---@return any error
function coroutine.close(co) end

--- The task that a coroutine runs in.
---@param co? thread by default the running one
---@return thread|nil task
---@return boolean is_task whether the coroutine is the task itself
function coroutine.thread(co) end

return coroutine
