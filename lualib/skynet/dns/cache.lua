--- Answers of name servers, for as long as they hold, and for a while longer as stale ones. For
--- skynet.dns.
---
--- The bound: answers are put into the younger of two generations. When that is full it becomes the
--- older one, and what was the older one is forgotten, except for what was looked at meanwhile.
local skynet = require("skynet")

local GENERATION_SIZE <const> = 1024
local CS_PER_S <const> = 100
--- However long a name server says, and how long a stale answer is better than none.
local TTL_MAX_S <const> = 24 * 3600
local STALE_MAX_CS <const> = 24 * 3600 * CS_PER_S

---@class skynet.dns.cache.entry
---@field addresses string[]
---@field end_cs integer the answer holds until then

---@class skynet.dns.cache
---@field private young table<string, skynet.dns.cache.entry>
---@field private young_count integer
---@field private old table<string, skynet.dns.cache.entry>
local cache_methods = {}
local cache_class = { __index = cache_methods, __name = "skynet.dns.cache" }

local function put(self, key, entry)
	if self.young[key] == nil then
		if self.young_count == GENERATION_SIZE then
			self.old, self.young, self.young_count = self.young, {}, 0
		end
		self.young_count = self.young_count + 1
	end
	self.young[key] = entry
end

local function find(self, key)
	local entry = self.young[key]
	if not entry and self.old[key] then
		entry = self.old[key]
		put(self, key, entry)
	end
	return entry
end

---@param key string
---@param addresses string[]
---@param ttl_s integer how long the answer holds
function cache_methods:put(key, addresses, ttl_s)
	local end_cs = skynet.now() + math.min(ttl_s, TTL_MAX_S) * CS_PER_S
	put(self, key, { addresses = addresses, end_cs = end_cs })
end

--- An answer that holds now.
---@param key string
---@return string[]?
function cache_methods:fresh(key)
	local entry = find(self, key)
	return entry and skynet.now() < entry.end_cs and entry.addresses or nil
end

--- An answer that holds, or has held not long ago.
---@param key string
---@return string[]?
function cache_methods:stale(key)
	local entry = find(self, key)
	return entry and skynet.now() < entry.end_cs + STALE_MAX_CS and entry.addresses or nil
end

function cache_methods:forget(key)
	self.old[key] = nil
	if self.young[key] then
		self.young[key] = nil
		self.young_count = self.young_count - 1
	end
end

local cache = {}

---@return skynet.dns.cache
function cache.new()
	return setmetatable({ young = {}, young_count = 0, old = {} }, cache_class)
end

return cache
