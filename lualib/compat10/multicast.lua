return require("skynet.multicast")
