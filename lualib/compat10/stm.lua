return require("skynet.stm")
