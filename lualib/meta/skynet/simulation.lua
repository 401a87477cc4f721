---@meta skynet.simulation
-- Declarations of `require "skynet.simulation"`: what a test can do to a simulated node. Tests use
-- skynet.test, which has names instead of numbers, and cleans up; see docs/testing.md.
-- luacheck: ignore 212

---@class skynet.simulation
local simulation = {}

--- The seed of the node; nil when it is not simulated.
---@return integer?
function simulation.seed() end

--- 64 random bits that follow from the seed; 0 when the node is not simulated.
---@return integer
function simulation.random() end

--- Adds a rule for messages from one service to another. Raises when the node is not simulated.
---@param kind "drop"|"delay"|"duplicate"
---@param source? integer handle; nil or 0: any
---@param destination? integer handle; nil or 0: any
---@param type? integer nil or -1: any
---@param chance? number 0 to 1; default 1
---@param count? integer the rule ends after so many; nil or 0: never
---@param delay_min_ms? integer of "delay"
---@param delay_max_ms? integer default: delay_min_ms
---@return integer number
function simulation.fault(
	kind,
	source,
	destination,
	type,
	chance,
	count,
	delay_min_ms,
	delay_max_ms
)
end

--- How many messages a rule has met; nil when there is no such rule.
---@param number integer
---@return integer?
function simulation.fault_count(number) end

--- Takes a rule away; 0: all of them, and the messages that they delay are lost.
---@param number integer
function simulation.remove_fault(number) end

--- Sets the node's only alarm: after that time the service gets a message of type 4 (system) with
--- the text "late" (virtual time) or "slow" (real time), or before that "stuck", when nobody has
--- mail and no timer is pending.
---@param delay_ms integer below 0: only stops the one that is set
---@param real_ms? integer
function simulation.alarm(delay_ms, real_ms) end

--- All services of the node, simulated or not, in the order of their handles.
---@return {[1]: integer, [2]: string}[] services handle and name of the C module of each
function simulation.services() end

return simulation
