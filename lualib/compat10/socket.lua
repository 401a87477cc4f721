return require("skynet.socket")
