return require("skynet.sharemap")
