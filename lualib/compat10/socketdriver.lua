return require("skynet.socketdriver")
