-- The cases of fault_matrix_test.lua in real time, with those that need a thread of their own.
return assert(loadfile("test/lua/fault_matrix_test.lua"))()
