return require("skynet.datacenter")
