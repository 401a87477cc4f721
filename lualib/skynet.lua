--- The library of every Lua service: one table whose fields are made when they are first touched,
--- so that a service pays only for what it uses. meta/skynet.lua declares all of them, for editors
--- and readers.
return require("skynet.engine")
