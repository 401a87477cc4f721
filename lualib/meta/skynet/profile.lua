---@meta skynet.profile
-- Declarations of `require "skynet.profile"`: how much CPU time a coroutine takes. The time while
-- it is suspended does not count; the time of coroutines that it resumes does.
-- luacheck: ignore 212

---@class skynet.profile
local profile = {}

--- Begins to measure. Raises when this coroutine is measured already.
---@param co? thread by default the running one
function profile.start(co) end

--- Ends it. Raises when this coroutine is not measured. Who ends unmeasured is forgotten.
---@param co? thread by default the running one
---@return number seconds of CPU time
function profile.stop(co) end

--- coroutine.resume, which measures as well.
profile.resume = coroutine.resume

--- coroutine.wrap, which measures as well.
profile.wrap = coroutine.wrap

return profile
