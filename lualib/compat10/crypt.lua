return require("skynet.crypt")
