return require("skynet.snax")
