return require("skynet.sharedata")
