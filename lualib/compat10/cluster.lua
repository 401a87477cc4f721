return require("skynet.cluster")
