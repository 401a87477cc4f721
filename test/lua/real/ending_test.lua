-- The cases of ending_test.lua in real time, with those that need a thread of their own.
return assert(loadfile("test/lua/ending_test.lua"))()
