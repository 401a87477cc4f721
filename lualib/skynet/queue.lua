--- A queue of tasks before a critical section: what one task runs in it is not interleaved with
--- what others run in it, even where it waits.
---
---     local queue = require("skynet.queue")
---     local section = queue()
---     section(function(...) ... end, ...)
---
--- Written in C, because leaving must not need memory: service-src/snlua/api_section.c.

--- Makes a critical section: a function that runs f(...) when no other task is inside it, and
--- returns its results. Tasks enter in the order in which they came; a task that is inside may
--- enter again. What f raises leaves the section, and is raised as a text with its traceback. Tasks
--- that f forks are not inside. Waits.
---@type fun(): fun(f: function, ...): ...
local queue = require("skynet.internals").queue

return queue
