-- test_service KEY ARGUMENT ...: runs a function of a test as its script, for test.service.
require("skynet.manager")
require("skynet.test.service").run(...)
