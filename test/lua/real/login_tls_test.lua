-- snax.loginserver over TLS: in real time, which certificates are valid by.
local skynet = require("skynet")
local crypt = require("skynet.crypt")
local check = require("check")
local log = require("log")
local login_client = require("login_client")

local cases = {}

--- Makes a certificate for 127.0.0.1, in one file with its key.
local function make_certificate()
	local path = os.tmpname()
	local command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
		.. " -subj /CN=login -addext subjectAltName=IP:127.0.0.1"
		.. " -keyout FILE -out FILE.crt 2>/dev/null && cat FILE.crt >>FILE && rm FILE.crt"
	check.ok(os.execute((command:gsub("FILE", path))), "the command openssl works")
	return path
end

cases[#cases + 1] = {
	"the_dialogue_goes_over_tls_too",
	function()
		local path = make_certificate()
		skynet.setenv("login_certificate", path)
		local mark = log.mark()
		skynet.newservice("login_probe")
		local line = log.wait(mark, "login server listen at : 127%.0%.0%.1 %d+")
		local port = tonumber(line:match("%d+$"))
		local client = login_client.connect(port, { tls = { authorities = path } })
		check.equal(client:login("sample hello"), "200 " .. crypt.base64encode("1"))
		os.remove(path)
	end,
}

return cases
