-- harbor_claim: claims an id for a node whose config says harbor = "auto". It is the only service
-- of a small node that runs in the same process before that one (skynet-src/sk_claim.h), and leaves
-- what it has got in the environment: harbor_claimed, the id, and harbor_incarnation; or
-- harbor_refused, the reason.

local skynet = require("skynet")
require("skynet.manager")

--- A config key, in seconds, as hundredths of a second.
local function hundredths(key)
	return math.tointeger(tonumber(skynet.getenv(key))) * 100
end

local function claim()
	local etcd_claim = require("skynet.registry.etcd_claim") -- raises where cjson is missing
	return etcd_claim.claim(
		skynet.getenv("master"),
		hundredths("harbor_timeout"),
		hundredths("harbor_join_timeout")
	)
end

skynet.start(function()
	local ok, id, text = pcall(claim)
	if ok and id then
		skynet.setenv("harbor_claimed", tostring(id))
		skynet.setenv("harbor_incarnation", text)
	else
		skynet.setenv("harbor_refused", ok and text or id)
	end
	skynet.abort(0)
end)
