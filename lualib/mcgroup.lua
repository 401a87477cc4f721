--- Groups whose members live on several nodes: what is sent to the address of one goes to all
--- members, as with skynet.enter_group, and once to each other node. They have numbers that are
--- valid on all nodes. The service "group_agent" of each node does the work; docs/groups.md tells
--- more. All functions wait, and raise when they fail.
local skynet = require("skynet")

local ID_MIN <const>, ID_MAX <const> = 1 << 29, (1 << 30) - 1

local mcgroup = {}

---@type integer?
local agent

skynet.init(function()
	agent = skynet.uniqueservice("group_agent")
end)

--- Asks the agent; what it raises is the caller's.
local function ask(...)
	if not agent then
		error("Init first: the start function has not begun to run yet", 3)
	end
	local ok, answer = pcall(skynet.call, agent, "lua", ...)
	if not ok then
		error(answer, 3)
	end
	return answer
end

local function check_id(id)
	if math.type(id) ~= "integer" or id < ID_MIN or id > ID_MAX then
		local text = "bad argument 'id': what mcgroup.create gave expected, got %s"
		error(text:format(tostring(id)), 3)
	end
end

local function check_member(address)
	local is_handle = math.type(address) == "integer" and address > 0 and address <= 0xffffffff
	if not is_handle or select(2, skynet.harbor(address)) then
		local text = "bad argument 'address': a service of this node expected, got %s"
		error(text:format(is_handle and skynet.address(address) or tostring(address)), 3)
	end
	return address
end

--- Makes a group.
---@return integer id valid on all nodes, until somebody releases the group
function mcgroup.create()
	return (ask("CREATE"))
end

--- The address of the group on this node: what services of this node send there goes to all
--- members, wherever they are. It stays the same.
---@param id integer
---@return integer address
function mcgroup.address(id)
	check_id(id)
	return (ask("ADDRESS", id))
end

--- A service of this node becomes a member. One that ends is no member any more.
---@param id integer
---@param address? integer this service, unless given
function mcgroup.enter(id, address)
	check_id(id)
	ask("ENTER", id, check_member(address or skynet.self()))
end

--- It is no member any more.
---@param id integer
---@param address? integer
function mcgroup.leave(id, address)
	check_id(id)
	ask("LEAVE", id, check_member(address or skynet.self()))
end

--- Ends the group on all nodes. What is on its way may be lost.
---@param id integer
function mcgroup.release(id)
	check_id(id)
	ask("RELEASE", id)
end

return mcgroup
