return require("skynet.db.mongo")
