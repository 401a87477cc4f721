-- script KEY ARGUMENT ...: runs the function that lib/child.lua has put into the environment.
require("skynet.manager")
require("skynet.test.service").run(...)
