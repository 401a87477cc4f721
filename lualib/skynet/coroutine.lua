--- Coroutines that may wait: as Lua's own library, but what runs in them may call, sleep and wait.
--- Then all that have resumed each other are suspended, up to the task, and go on when the wait is
--- over. Written in C: service-src/snlua/coroutine.c; meta/skynet/coroutine.lua declares it.
return require("skynet.internals").coroutine()
