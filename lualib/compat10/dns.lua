return require("skynet.dns")
