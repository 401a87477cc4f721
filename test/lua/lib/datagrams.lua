--- For tests of UDP sockets: ports of their own.
local datagrams = {}

-- Below the ports that the system hands out: nobody else takes one in between.
local FIRST_PORT <const> = 20000
local LAST_PORT <const> = 30000

--- Opens a UDP socket on a port of 127.0.0.1 that is free, with udp_listen(host, port, ...).
--- Returns its id and the port.
function datagrams.listen(udp_listen, ...)
	for port = FIRST_PORT, LAST_PORT do
		local ok, id = pcall(udp_listen, "127.0.0.1", port, ...)
		if ok then
			return id, port
		end
	end
	error("no port is free")
end

return datagrams
