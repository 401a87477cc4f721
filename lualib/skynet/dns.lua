--- Looking up the addresses of names: `require "skynet.dns"`; docs/dns.md.
---
--- A numeric address is its own answer. A name is looked for in the hosts file, then among the
--- answers that still hold, then it is asked of the name servers. Those are c-ares' part
--- (skynet.resolver), which never waits; the tasks that do are kept here.
---
--- Tasks that ask the same at once are waiters of one query. A session is an open resolver; it
--- lives while queries are under way, so the next one reads a changed resolv.conf.
local skynet = require("skynet")
local socket = require("skynet.socket")
local resolver = require("skynet.resolver")
local cache = require("skynet.dns.cache")
local hosts = require("skynet.dns.hosts")

local PORT <const> = 53
local PORT_MAX <const> = 65535
local LIMIT_CS <const> = 3000
local NAME_SIZE_MAX <const> = 253
local LABEL_SIZE_MAX <const> = 63
--- So many different names are asked for at once.
local QUERIES_MAX <const> = 1000

local dns = {
	---@type string|nil the hosts file; nil: none. To be set before the first look-up.
	DEFAULT_HOSTS = "/etc/hosts",
	---@type string|nil where the name servers stand; nil: where the system has them
	DEFAULT_RESOLV_CONF = "/etc/resolv.conf",
}

--- What is being asked.
---@class skynet.dns.query
---@field key string
---@field waiters table<table, true> the tokens of the tasks that wait
---@field is_done boolean? from now on it is not changed
---@field addresses string[]? what was found
---@field reason string? why nothing was

---@class skynet.dns.session
---@field resolver userdata
---@field queries table<integer, skynet.dns.query> by their numbers
---@field count integer of those
---@field timer integer? runs when c-ares wants to be called

local answers = cache.new()
---@type table<string, skynet.dns.query> those under way at the present servers, by their keys
local queries = {}
local query_count = 0 -- of all that are under way
local last_number = 0
---@type table<skynet.dns.session, true>
local sessions = {}
---@type skynet.dns.session? that gets new queries
local current
---@type string? "address:port", when dns.server has named one
local chosen_server
---@type table? what the hosts file has
local names

-- Queries under way ----------------------------------------------------------------------------

local function finish(query, addresses, detail, is_final)
	query.is_done = true
	query_count = query_count - 1
	query.addresses = addresses
	query.reason = not addresses and detail or nil
	if queries[query.key] == query then -- otherwise it has asked a server that was left
		queries[query.key] = nil
		if addresses then
			answers:put(query.key, addresses, detail)
		elseif is_final then -- a server has said that there is nothing
			answers:forget(query.key)
		end
	end
	for waiter in pairs(query.waiters) do
		skynet.wakeup(waiter)
	end
end

local function close(session)
	sessions[session] = nil
	if current == session then
		current = nil
	end
	session.resolver:close()
end

local pump

local function arm(session)
	if session.timer then
		skynet.cancel(session.timer)
	end
	session.timer = nil
	local delay_ms = session.resolver:timeout_ms()
	if delay_ms then
		session.timer = skynet.timeout_ms(delay_ms, function()
			session.timer = nil
			session.resolver:expire()
			pump(session)
		end)
	end
end

--- Looks at what c-ares has found and wants, after it was called.
pump = function(session)
	for number, addresses, detail, is_final in session.resolver.take, session.resolver do
		local query = session.queries[number]
		session.queries[number] = nil
		session.count = session.count - 1
		finish(query, addresses, detail, is_final)
	end
	if session.count == 0 then
		close(session)
	end
	if sessions[session] then
		arm(session)
	elseif session.timer then
		skynet.cancel(session.timer)
	end
end

socket.on_ready(function(id, what)
	for session in pairs(sessions) do
		if session.resolver:ready(id, what) then
			pump(session)
			return true
		end
	end
	return false
end)

--- The session for new queries, or nil and the reason.
local function open_session()
	if current then
		return current
	end
	local opened, reason = resolver.open(chosen_server, dns.DEFAULT_RESOLV_CONF)
	if not opened then
		return nil, reason
	end
	current = { resolver = opened, queries = {}, count = 0 }
	sessions[current] = true
	return current
end

--- Begins to ask. Returns nil and the reason when it can't.
local function begin_query(key, name, is_ipv6)
	if query_count >= QUERIES_MAX then
		return nil, "too many names are being looked up"
	end
	local session, reason = open_session()
	if not session then
		return nil, reason
	end
	local query = { key = key, waiters = {} }
	queries[key] = query
	query_count = query_count + 1
	last_number = last_number + 1
	session.queries[last_number] = query
	session.count = session.count + 1
	session.resolver:query(last_number, name, is_ipv6)
	pump(session)
	return query
end

--- Asks the name servers. Returns nil and the reason when there is no answer. Waits.
local function ask(key, name, is_ipv6, limit_cs)
	local query, reason = queries[key], nil
	if not query then
		query, reason = begin_query(key, name, is_ipv6)
	end
	if query and not query.is_done then
		local waiter = {}
		query.waiters[waiter] = true
		skynet.sleep(limit_cs, waiter)
		query.waiters[waiter] = nil
	end
	if query and query.addresses then
		return query.addresses
	end
	reason = reason or query.reason or ("nothing within %.2f s"):format(limit_cs / 100)
	return answers:stale(key), reason
end

-- For users ------------------------------------------------------------------------------------

local function is_legal(name)
	local labels = name:gsub("%.$", "")
	if #labels > NAME_SIZE_MAX then
		return false
	end
	for label in (labels .. "."):gmatch("(.-)%.") do
		if #label == 0 or #label > LABEL_SIZE_MAX or label:find("[^%w_-]") then
			return false
		end
	end
	return true
end

local function find_in_hosts(name, family)
	if not names then
		names = dns.DEFAULT_HOSTS and hosts.read(dns.DEFAULT_HOSTS) or {}
	end
	local of_name = names[name:gsub("%.$", "")]
	local addresses = of_name and of_name[family]
	return addresses and addresses[1] and addresses or nil
end

local function check_number(name, value, low, high)
	if math.type(value) ~= "integer" or value < low or value > high then
		local text = "bad argument '%s': an integer in %d..%d expected, got %s"
		error(text:format(name, low, high, tostring(value)), 3)
	end
end

--- Chooses the name server for all look-ups of this service from now on.
---@param ip? string its numeric address; nil: those that the system has, as in the beginning
---@param port? integer 53 by default
function dns.server(ip, port)
	if ip ~= nil then
		local family = type(ip) == "string" and resolver.family(ip)
		if not family then
			local text = "bad argument 'ip': a numeric address expected, got "
			error(text .. tostring(ip), 2)
		end
		port = port or PORT
		check_number("port", port, 1, PORT_MAX)
		ip = (family == 6 and "[%s]:%d" or "%s:%d"):format(ip, port)
	end
	chosen_server = ip
	-- What is under way goes on with the servers it has begun with, for those who wait for it.
	current, queries = nil, {}
end

--- Finds the addresses of a name. Waits, unless the answer is known.
---
--- Raises when there is none: "timeout or no answer", and why. While the name servers are silent or
--- have failed, an answer that has been right until lately is taken instead.
---@param name string a name, or a numeric address, which is its own answer
---@param ipv6? boolean true: IPv6 addresses; otherwise those of IPv4
---@param limit_cs? integer how long to wait; 3000 by default
---@return string? address the first one; nil: the name is none
---@return string[]|string addresses all of them, or "illegal name"
function dns.resolve(name, ipv6, limit_cs)
	if type(name) ~= "string" then
		error("bad argument 'name': a string expected, got " .. type(name), 2)
	end
	limit_cs = limit_cs or LIMIT_CS
	check_number("limit_cs", limit_cs, 1, math.maxinteger // 10)
	if resolver.family(name) then
		return name, { name }
	elseif not is_legal(name) then
		return nil, "illegal name"
	end
	local family = ipv6 and 6 or 4
	local key = ("%d %s"):format(family, name:lower())
	local addresses, reason = find_in_hosts(name:lower(), family) or answers:fresh(key), nil
	if not addresses then
		addresses, reason = ask(key, name, family == 6, limit_cs)
	end
	if not addresses then
		error(("timeout or no answer: %s: %s"):format(name, reason), 2)
	end
	return addresses[1], table.move(addresses, 1, #addresses, 1, {})
end

--- Forgets all answers, and what the hosts file has said.
function dns.flush()
	answers = cache.new()
	names = nil
end

return dns
