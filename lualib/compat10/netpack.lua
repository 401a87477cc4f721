return require("skynet.netpack")
