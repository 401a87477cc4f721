--- Groups: what is sent to the address of one goes to all its members. The functions are fields of
--- `skynet`; meta/skynet.lua declares them, and docs/groups.md tells more.
local core = require("skynet.core")

local NUMBER_MIN <const>, NUMBER_MAX <const> = -0x80000000, 0x7fffffff
local ADDRESS_MAX <const> = 0xffffffff

local group = {}

local function check_number(number)
	if math.type(number) ~= "integer" or number < NUMBER_MIN or number > NUMBER_MAX then
		local text = "bad argument 'number': an integer of 32 bits expected, got %s"
		error(text:format(tostring(number)), 3)
	end
end

--- The words of ENTER and LEAVE.
local function words(command, number, address)
	if address == nil then
		return ("%s %d"):format(command, number)
	elseif math.type(address) == "integer" and address > 0 and address <= ADDRESS_MAX then
		return ("%s %d :%x"):format(command, number, address)
	elseif type(address) == "string" and address:find("^[:.].") then
		return ("%s %d %s"):format(command, number, address)
	end
	local text = "bad argument 'address': a service of this node expected, got %s"
	error(text:format(tostring(address)), 3)
end

function group.enter_group(number, address)
	check_number(number)
	core.command("GROUP", words("ENTER", number, address))
end

function group.leave_group(number, address)
	check_number(number)
	core.command("GROUP", words("LEAVE", number, address))
end

function group.clear_group(number)
	check_number(number)
	core.command("GROUP", ("CLEAR %d"):format(number))
end

function group.query_group(number)
	check_number(number)
	local address = core.addresscommand("GROUP", ("QUERY %d"):format(number))
	if not address then
		return nil, "the group cannot be made: the log says why"
	end
	return address
end

return group
