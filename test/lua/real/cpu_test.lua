-- CPU time, which only real time has.
local skynet = require("skynet")
local test = require("skynet.test")

test.case("the_cpu_time_of_a_service_grows", function()
	test.equal(math.type(skynet.stat("cpu")), "float")
	local cpu = skynet.stat("cpu")
	for _ = 1, 1000000 do
	end
	test.ok(skynet.stat("cpu") > cpu)
	test.equal(math.type(skynet.stat("time")), "float")
end)

test.case("the_clock_goes", function()
	local begin, hpc = skynet.now(), skynet.hpc()
	skynet.sleep(2)
	test.ok(skynet.now() > begin)
	test.ok(skynet.hpc() - hpc >= 20000000)
	test.ok(math.abs(skynet.time() - os.time()) <= 5, "the wall clock")
end)

test.case("without_simulation_there_are_no_faults", function()
	test.equal(test.seed(), nil)
	test.raises("only a simulated node has faults", test.drop, {})
	local drawn = test.random(3, 4)
	test.ok(drawn == 3 or drawn == 4)
end)
