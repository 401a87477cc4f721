-- skynet.socket with everything at once: tasks of several services do to each other's sockets
-- whatever comes to mind, and are ended in the middle of it. Nothing crashes, nobody waits for
-- ever, and when all that there is was closed, nothing is left.
local skynet = require("skynet")
require("skynet.manager")
local socket = require("skynet.socket")
local test = require("skynet.test")
local child = require("child")

local SERVICES <const> = 3

--- Has so many tasks do so many things each, to the sockets 1 .. the last one. Asked, it closes
--- all, until its tasks have ended.
local function player(task_count, step_count)
	local skynet = require("skynet") -- luacheck: ignore 431
	local socket = require("skynet.socket") -- luacheck: ignore 431
	local driver = require("skynet.socketdriver")
	local PIECE <const> = ("line\n"):rep(300)
	local ports, tasks, running = {}, {}, 0
	local last = 8
	local finished = {}

	--- An id that somebody may hold, or may have held.
	local function any_id()
		return math.random(last)
	end

	--- Most waits end with the connection, but nobody may close it: so they have a limit.
	local function patient(id)
		if not socket.invalid(id) then
			socket.timeout(id, math.random(50))
		end
		return id
	end

	local function answer(id)
		last = math.max(last, id)
		if math.random(4) > 1 and socket.start(id) then
			socket.write(id, PIECE)
			socket.read(patient(id))
		end
	end

	local moves = {
		function()
			local id, _, port = socket.listen("127.0.0.1", 0)
			last = math.max(last, id)
			ports[#ports + 1] = port
			socket.start(id, answer)
		end,
		function()
			local port = ports[math.random(#ports)]
			local id = socket.open("127.0.0.1", port, { timeout = math.random(50) })
			last = math.max(last, id or 0)
			if id and math.random(2) == 1 then
				socket.write(id, PIECE)
			end
		end,
		function()
			last = math.max(last, socket.udp(function() end, "127.0.0.1", 0))
		end,
		function()
			socket.read(patient(any_id()))
		end,
		function()
			socket.read(patient(any_id()), math.random(0, 3000))
		end,
		function()
			socket.readline(patient(any_id()), ("\n"):rep(math.random(2)))
		end,
		function()
			socket.readall(patient(any_id()))
		end,
		function()
			socket.block(patient(any_id()))
		end,
		function()
			socket.write(any_id(), PIECE)
		end,
		function()
			socket.lwrite(any_id(), { PIECE, "x" })
		end,
		function()
			socket.close(any_id())
		end,
		function()
			socket.shutdown(any_id())
		end,
		function()
			socket.close_fd(any_id())
		end,
		function()
			socket.abandon(any_id())
		end,
		function()
			socket.start(any_id())
		end,
		function()
			socket.start(any_id(), answer)
		end,
		function()
			socket.pause(any_id())
		end,
		function()
			socket.limit(any_id(), math.random(2000))
		end,
		function()
			socket.onclose(any_id(), function()
				error("onclose")
			end)
		end,
		function()
			socket.warning(any_id(), function()
				error("warning")
			end)
		end,
		function()
			socket.secure(any_id(), "client", { verify = false }, math.random(50))
		end,
		function()
			driver.close(any_id())
		end,
		function()
			local task = tasks[math.random(tonumber(task_count))]
			if task and task ~= coroutine.running() then
				skynet.killthread(task)
			end
		end,
		skynet.yield,
	}

	local function play()
		for _ = 1, step_count do
			pcall(moves[math.random(#moves)])
			if math.random(10) == 1 then
				skynet.sleep(math.random(0, 3))
			end
		end
	end

	local function begin(i)
		tasks[i] = coroutine.running()
		running = running + 1
		local _ending <close> = setmetatable({}, {
			__close = function() -- also of a task that is killed
				tasks[i] = nil
				running = running - 1
				skynet.wakeup(finished)
			end,
		})
		play()
	end

	skynet.start(function()
		moves[1]()
		for i = 1, tonumber(task_count) do
			skynet.fork(begin, i)
		end
		skynet.dispatch("lua", function()
			while running > 0 do
				for id = 1, last do
					driver.close(id) -- whoever waits for it is told
				end
				skynet.sleep(1, finished)
			end
			for id = 1, last do
				socket.close(id)
			end
			skynet.retpack(last)
		end)
	end)
end

test.case("whatever tasks do to sockets, nothing is left of it", function()
	local before = #socket.netstat()
	local players = {}
	for i = 1, SERVICES do
		players[i] = child.start(player, 8, 60)
	end
	skynet.sleep(100)
	for i, address in ipairs(players) do
		if i > 1 then
			test.ok(skynet.call(address, "lua") > 0)
		end
		skynet.kill(address) -- the first one in the middle of it
	end
	test.eventually(function()
		return #socket.netstat() == before
	end)
end)
