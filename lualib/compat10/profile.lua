return require("skynet.profile")
