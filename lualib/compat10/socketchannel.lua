return require("skynet.socketchannel")
