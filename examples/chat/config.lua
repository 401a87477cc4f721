-- A chat room with three doors: lines, lines in TLS, and websockets.
--
--     ./skynet examples/chat/config.lua
--     nc 127.0.0.1 7001              in two other terminals

harbor = 0 -- one node alone
start = "room" -- examples/chat/room.lua
luaservice = "./service/?.lua;./examples/chat/?.lua"

-- Keys of the example's own: room.lua reads them with skynet.getenv.
chat_address = "127.0.0.1" -- "0.0.0.0" lets in other machines
chat_line_port = 7001
chat_websocket_port = 7002
chat_tls_port = 7003 -- openssl s_client -quiet -connect 127.0.0.1:7003
-- chat_certificate = "room.pem" -- with one in PEM form there is the door in TLS
-- chat_key = "room.key" -- when the key is in another file
