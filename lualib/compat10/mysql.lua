return require("skynet.db.mysql")
