--- Claims a free id for a node that has none of its own (config key harbor = "auto"). The node then
--- joins with the same incarnation, and so takes the claim over.
local skynet = require("skynet")
local crypt = require("skynet.crypt")
local etcd = require("skynet.registry.etcd")
local place = require("skynet.registry.etcd_place")

local etcd_claim = {}

local ID_MAX <const> = 255
--- So much longer than that of a node has the lease of a claim, for the time until it joins.
local START_S <const> = 10

--- The lowest id that nobody has; nil when there is none.
local function find_free(snapshot)
	for id = 1, ID_MAX do
		if not snapshot.members[id] and not snapshot.claims[id] then
			return id
		end
	end
end

--- Claims ids until one is got. Waits.
local function claim(parts, incarnation, deadline_cs)
	local lease
	while skynet.now() < deadline_cs do
		local snapshot, reason = parts.keys:read_all(parts.etcd, deadline_cs)
		if not snapshot then
			return nil, reason
		end
		local id = find_free(snapshot)
		if not id then
			return nil, ("all ids, 1 to %d, are in use"):format(ID_MAX)
		end
		local free = place.new({
			etcd = parts.etcd,
			keys = parts.keys,
			id = id,
			incarnation = incarnation,
			ttl_s = parts.ttl_s + START_S,
			lease = lease,
		})
		local is_taken
		is_taken, reason = free:try(deadline_cs)
		if is_taken then
			return id
		elseif is_taken == nil then
			return nil, reason
		end
		lease = free.lease -- another one was faster: on to the next id
		skynet.sleep(1)
	end
	return nil, "others were always faster"
end

--- Claims an id. Waits, at most join_timeout_cs. Raises when the URL is wrong or cjson is missing.
---@param url string what config key `master` says
---@param timeout_cs integer harbor_timeout
---@param join_timeout_cs integer harbor_join_timeout
---@return integer? id nil: there is none
---@return string incarnation or the reason
function etcd_claim.claim(url, timeout_cs, join_timeout_cs)
	local bytes = crypt.randomkey()
	local incarnation = crypt.hexencode(bytes)
	local parts = etcd.prepare(url, timeout_cs, bytes:byte())
	local id, reason = claim(parts, incarnation, skynet.now() + join_timeout_cs)
	parts.etcd:close()
	if not id then
		return nil, ("config key master: %s: %s"):format(parts.url.shown, reason)
	end
	return id, incarnation
end

return etcd_claim
