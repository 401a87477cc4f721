-- A script that does not compile: the error names this file and line 2.
local and = 1
