--- How much CPU time a coroutine takes. Written in C: service-src/snlua/profile.c;
--- meta/skynet/profile.lua declares it.
return require("skynet.internals").profile()
