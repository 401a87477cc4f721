--- The config keys of the network of nodes, as its services use them. What is wrong with them alone
--- was found when the config was read; docs/config.md explains them.
local skynet = require("skynet")

local CS_PER_SECOND <const> = 100

local settings = {}

local function seconds(key, default)
	return math.ceil((tonumber(skynet.getenv(key)) or default) * CS_PER_SECOND)
end

--- How long somebody may be silent, in hundredths of a second (harbor_timeout).
---@return integer
function settings.timeout_cs()
	return seconds("harbor_timeout", 5)
end

--- How long a node tries to reach its registry when it starts (harbor_join_timeout).
---@return integer
function settings.join_timeout_cs()
	return seconds("harbor_join_timeout", 30)
end

--- The secret of the network (harbor_secret).
---@return string secret empty: there is none
function settings.secret()
	return skynet.getenv("harbor_secret") or ""
end

--- Options of skynet.socket for mutual TLS: who connects, and who listens, has a certificate of
--- one of the authorities.
---@return table? tls nil: the network does without
function settings.tls()
	local certificate = skynet.getenv("harbor_certificate")
	local authorities = skynet.getenv("harbor_authorities")
	if not (certificate and authorities) then
		return nil
	end
	return {
		certificate = certificate,
		key = skynet.getenv("harbor_key"),
		authorities = authorities,
		verify = true,
	}
end

return settings
