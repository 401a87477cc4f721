--- skynet.cache: the module skynet.codecache, under its name of old.
return { cache = require("skynet.codecache") }
