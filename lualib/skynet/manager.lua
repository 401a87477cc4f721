--- The functions that manage other services: launch, kill, abort, register, name, monitor,
--- forward_type, filter. They live in the table of `skynet` itself; this module is what programs
--- ask for to say that they use them.
return require("skynet")
