---@meta skynet.resolver
-- Declarations of `require "skynet.resolver"`: what skynet.dns asks c-ares for. Nothing here waits.
-- Programs use skynet.dns instead (docs/dns.md).
-- luacheck: ignore 212

--- An open resolver. It is closed when nobody holds it, and as a variable that is `<close>`.
---@class skynet.resolver.object
---@field query fun(self, number: integer, name: string, is_ipv6: boolean) the answer has the number
---@field ready fun(self, id: integer, what: integer): boolean a watched descriptor is ready; the
--- result says whether it is one of this resolver's
---@field timeout_ms fun(self): integer? when expire is to be called; nil: nothing is being asked
---@field expire fun(self) the time is over
---@field take fun(self): integer?, string[]?, integer|string|nil, boolean? the next answer: its
--- number, and addresses with the seconds they hold, or nil, the reason, and whether there are none
---@field close fun(self) what is being asked gets no answer

---@class skynet.resolver
local resolver = {}

--- Opens a resolver. Its descriptors are watched, and messages READY come about them.
---@param servers? string "address:port,[address]:port"; nil: those of the file
---@param resolv_conf? string the file; nil: where the system has it
---@return skynet.resolver.object? resolver nil when it can't
---@return string? reason
function resolver.open(servers, resolv_conf) end

--- Which kind of numeric address a text is.
---@param text string
---@return 4|6|nil
function resolver.family(text) end

return resolver
