-- skynet.registry.etcd_url: what config key `master` says of an etcd.
local etcd_url = require("skynet.registry.etcd_url")
local test = require("skynet.test")

local case <const> = test.case

--- The parts of a URL as one text.
local function parse(text)
	local url, problem = etcd_url.parse(text)
	if not url then
		return problem
	end
	local hosts = {}
	for i, host in ipairs(url.hosts) do
		hosts[i] = ("%s %d %s"):format(host.host, host.port, host.name)
	end
	return ("%s|%s|%s|%s|%s"):format(
		table.concat(hosts, ", "),
		url.is_secure,
		url.prefix,
		url.user,
		url.password
	)
end

case("a URL has hosts, a prefix and perhaps a user", function()
	local expected = {
		["etcd://a"] = "a 2379 a:2379|false|/skynet|nil|nil",
		["etcd://a:1"] = "a 1 a:1|false|/skynet|nil|nil",
		["etcd://a:1/"] = "a 1 a:1|false|/skynet|nil|nil",
		["etcd://a:1/x"] = "a 1 a:1|false|/x|nil|nil",
		["etcd://a:1/x/y-z_0.1//"] = "a 1 a:1|false|/x/y-z_0.1|nil|nil",
		["etcds://a:1,b:65535"] = "a 1 a:1, b 65535 b:65535|true|/skynet|nil|nil",
		["etcd://[::1]:7/x"] = "::1 7 [::1]:7|false|/x|nil|nil",
		["etcd://me:word@a:1/x"] = "a 1 a:1|false|/x|me|word",
		["etcd://m%40e:w%3ao%2Frd@a:1/x"] = "a 1 a:1|false|/x|m@e|w:o/rd",
		["etcd://me:w@o:rd@a:1"] = "a 1 a:1|false|/skynet|me|w@o:rd",
		["etcd://me:@a"] = "a 2379 a:2379|false|/skynet|me|",
	}
	for text, parts in pairs(expected) do
		test.equal(parse(text), parts, text)
	end
end)

case("what is wrong is named, but not the password", function()
	local expected = {
		["http://a"] = "does not begin with etcd://",
		["etcd:/a"] = "does not begin with etcd://",
		["etcd://"] = "'' is no host:port",
		["etcd://,a"] = "'' is no host:port",
		["etcd://a:0"] = "no port in 1..65535",
		["etcd://a:65536"] = "no port in 1..65535",
		["etcd://a:123456"] = "no port in 1..65535",
		["etcd://a:1x"] = "no port in 1..65535",
		["etcd://[::1:7"] = "is no host:port",
		["etcd://secret@a"] = "must be user:password",
		["etcd://:secret@a"] = "must be user:password",
		["etcd://me:secret@a/ x"] = "is no prefix of keys",
		["etcd://me:secret@a//x"] = "is no prefix of keys",
		["etcd://" .. ("a,"):rep(32) .. "a"] = "more than 32 hosts",
	}
	for text, problem in pairs(expected) do
		test.matches(parse(text), problem, text)
		test.equal(parse(text):find("secret", 1, true), nil, text)
	end
end)

case("a URL is shown without its password", function()
	local url = etcd_url.parse("etcds://me:secret@a:1,b:2/x")
	test.equal(url.shown, "etcds://me@a:1,b:2/x")
	test.equal(etcd_url.parse("etcd://a").shown, "etcd://a/skynet")
end)
