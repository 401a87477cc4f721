return require("skynet.mqueue")
