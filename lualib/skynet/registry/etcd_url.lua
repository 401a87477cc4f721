--- What config key `master` says of an etcd: etcd://[user:password@]host[:port][,host...][/prefix].
--- etcds:// is the same with TLS.
local etcd_url = {}

local PORT <const> = 2379
local PREFIX <const> = "/skynet"
local HOSTS_MAX <const> = 32

---@class skynet.registry.etcd_host
---@field host string
---@field port integer
---@field name string "host:port", for logs

---@class skynet.registry.etcd_url
---@field hosts skynet.registry.etcd_host[]
---@field is_secure boolean
---@field prefix string begins with "/" and does not end with one
---@field user string?
---@field password string?
---@field shown string the URL without the password, for logs

local function decode_percent(text)
	return (text:gsub("%%(%x%x)", function(digits)
		return string.char(tonumber(digits, 16))
	end))
end

local function parse_host(text)
	local host, port = text:match("^%[([%x:.]+)%](.*)$")
	if not host then
		host, port = text:match("^([%w._-]+)(.*)$")
	end
	if not host then
		return nil, ("'%s' is no host:port"):format(text)
	end
	if port == "" then
		port = PORT
	else
		port = tonumber(port:match("^:(%d%d?%d?%d?%d?)$"))
	end
	if not port or port < 1 or port > 65535 then
		return nil, ("'%s' has no port in 1..65535"):format(text)
	end
	local name = host:find(":", 1, true) and ("[%s]:%d") or "%s:%d"
	return { host = host, port = port, name = name:format(host, port) }
end

local function parse_hosts(text)
	local hosts = {}
	for part in (text .. ","):gmatch("([^,]*),") do
		local host, problem = parse_host(part)
		if not host then
			return nil, problem
		end
		hosts[#hosts + 1] = host
	end
	if #hosts > HOSTS_MAX then
		return nil, ("there are more than %d hosts"):format(HOSTS_MAX)
	end
	return hosts
end

local function parse_prefix(text)
	local prefix = text:gsub("/+$", "")
	if prefix == "" then
		return PREFIX
	end
	if not prefix:match("^[%w/._-]+$") or prefix:find("//", 1, true) then
		return nil, ("'%s' is no prefix of keys: letters, digits and ._-/ are"):format(text)
	end
	return prefix
end

--- The user of "user:password", and the password.
local function parse_user(text)
	if text == "" then
		return nil
	end
	local user, password = text:match("^([^:]+):(.*)@$")
	if not user then
		return nil, nil, "what stands before '@' must be user:password"
	end
	return decode_percent(user), decode_percent(password)
end

--- Takes a URL apart.
---@param text string
---@return skynet.registry.etcd_url? url
---@return string? problem it does not tell the password
function etcd_url.parse(text)
	local scheme, rest = text:match("^(etcds?)://(.*)$")
	if not scheme then
		return nil, "it does not begin with etcd:// or etcds://"
	end
	local authority, path = rest:match("^([^/]*)(.*)$")
	local login, addresses = authority:match("^(.*@)(.*)$")
	local user, password, problem = parse_user(login or "")
	local hosts, prefix
	if not problem then
		hosts, problem = parse_hosts(addresses or authority)
	end
	if hosts then
		prefix, problem = parse_prefix(path)
	end
	if not prefix then
		return nil, problem
	end
	local shown = user and user .. "@" or ""
	return {
		hosts = hosts,
		is_secure = scheme == "etcds",
		prefix = prefix,
		user = user,
		password = password,
		shown = ("%s://%s%s%s"):format(scheme, shown, addresses or authority, prefix),
	}
end

return etcd_url
