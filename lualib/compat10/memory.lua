return require("skynet.memory")
