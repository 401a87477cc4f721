--- The registry of a network of nodes: which nodes are its members, and which service has which
--- global name. Only `.cslave` (service/cslave.lua) uses it, once in each node. Where all that is
--- kept is for a backend to say, which the form of config key `master` chooses:
---
---   host:port                          skynet.registry.master: the service cmaster of some node
---   etcd://host:port[,host:port]/...   skynet.registry.etcd
---
--- A backend is a module with one function, `open(options)`, which returns at once. What it
--- returns has the methods of skynet.registry.backend below. All backends promise:
---
--- * All nodes are told of the same changes in the same order; revisions only grow. Changes that
---   came about together have the same one.
--- * One node at a time has an id. Another one that claims it is refused while the first one
---   lives. A crashed one's place is taken at once: all are told of a "leave" of the old
---   incarnation, then of a "join" of the new one.
--- * A name has one owner at a time; it is taken while its owner has not given it back and the
---   owner's node is a member. A "leave" ends all names of the node: no "unname" tells of them.
--- * While the registry is lost nothing changes for anybody. The backend tries to reach it again
---   for ever, and claims the same place with the same incarnation. What has changed meanwhile is
---   told as changes (skynet.registry.view finds them), then on_back is called. This node's names
---   that are missing are registered again.
--- * A node that the registry has not heard of for about `timeout_cs` (at most twice that) has
---   left. If it lives, it may join again, with the same incarnation; if another node has its id
---   by then, on_evicted tells it to end.
--- * Local numbers of handles are not given twice to an id, by whatever incarnation: `base` is at
---   least what any of them has reported, plus skynet.registry.BASE_STEP.
local callbacks = require("skynet.registry.callbacks")

local registry = {
	--- Numbers that a node may use up before it has to report again, and that a base leaves
	--- free: a node reports each time when half of them are used.
	BASE_STEP = 65536,
}

---@class skynet.registry.options
---@field url string what config key `master` says
---@field id integer of this node, 1 to 255
---@field address string where the other nodes reach the harbor of this one: "host:port"
---@field incarnation string 16 lower-case hex digits, drawn anew by each process
---@field timeout_cs integer who is silent for so long is lost (harbor_timeout)
---@field join_timeout_cs integer how long join tries (harbor_join_timeout)
---@field secret? string harbor_secret
---@field tls? table options for skynet.socket: mutual TLS (harbor_certificate and so on)
---@field on_change fun(change: skynet.registry.change) one after another; it does not wait
---@field on_lost fun(reason: string) the registry is out of reach, as it was not before
---@field on_back fun() it is there again
---@field on_evicted fun(reason: string) this node can be no member any more; nothing follows. Also
---                  when on_change raises, or a backend tells a broken change (registry/callbacks)

---@class skynet.registry.change
---@field revision integer
---@field kind "join"|"leave"|"name"|"unname"|"base"
---@field id? integer join, leave: the node; this one is told of itself, too
---@field incarnation? string join, leave
---@field address? string join
---@field reason? string leave: words for a log
---@field name? string name, unname
---@field handle? integer name, unname: the owner; a service of this node or of another one
---@field base? integer base: a larger one for this node has become known; revision says nothing

---@class skynet.registry.member
---@field incarnation string
---@field address string

---@class skynet.registry.snapshot
---@field revision integer
---@field members table<integer, skynet.registry.member> by id, with this node
---@field names table<string, integer> the handles of the owners
---@field base integer local numbers up to this one belong to earlier incarnations; 0: to none

--- What open returns. A method that waits may be called while others wait.
---
--- * join() claims the place of this node. Waits, at most join_timeout_cs, and tries again what may
---   succeed later. To be called once, first. Changes come after it has returned, never before.
---   nil and a reason that names what to look at (the address, the secret, the id): it has failed
---   for good, and nothing follows.
--- * register(name, handle) registers a name for a service of this node, unless another service
---   has it. Waits, also for a registry that is lost. Returns who has the name now, that service
---   or another; the change has been told before. nil and a reason: closed, evicted, or there can
---   be no owner.
--- * unregister(name, handle) gives a name back, if that service has it. Returns at once; while
---   the registry is lost, it is done when that is back.
--- * report(last_handle) tells the highest local number that this node has given. Returns at once,
---   as unregister does.
--- * status() says what it is about, for people: at least `url`, `connected` and `revision`.
--- * close() leaves the network: this node is gone for the others at once. Returns at once.
---@class skynet.registry.backend
---@field join fun(self): skynet.registry.snapshot?, string?
---@field register fun(self, name: string, handle: integer): integer?, string?
---@field unregister fun(self, name: string, handle: integer)
---@field report fun(self, last_handle: integer)
---@field status fun(self): table<string, any>
---@field close fun(self)

--- A backend may have a place for data, too, which survives the nodes of the network. The service
--- that holds a global name, the office, keeps a tree of bytes there: at most one value in each
--- place, which is a list of keys. What open_data returns is used by one task at a time, and has:
---
--- * take(limit_cs, on_entry) takes the place over from whoever had it before: once it has
---   returned, nobody else can write. Waits, so long at most for that, and so long for each piece
---   of what is there. on_entry(keys, count, bytes) is called for each value, for those above
---   before those below; false: it makes no sense. nil and a reason: it has failed; is_over:
---   because another service has the office.
--- * write(changes, deadline_cs) makes changes, all or none, once the place is taken. Waits. nil
---   and a reason: it is not known whether they are made or not, nor when, until the place has
---   been taken again; is_over: another service has taken it.
--- * is_held(deadline_cs) says whether nobody has taken the place since this one has. Waits.
--- * measure(change) says how many bytes it has; those of one write, and their number, must not
---   exceed `limits`. No two of one write concern the same place.
---@class skynet.registry.data
---@field limits { bytes: integer, changes: integer }
---@field take fun(self, limit_cs: integer, on_entry: function): boolean?, string?, boolean?
---@field is_held fun(self, deadline_cs: integer): boolean
---@field write fun(self, changes: table[], deadline_cs: integer): boolean?, string?, boolean?
---@field measure fun(self, change: skynet.registry.data.change): integer

---@class skynet.registry.data.change
---@field keys (string|number|boolean)[]
---@field count integer of keys: there may be more in the list
---@field bytes string? the value to put there; nil: none
---@field is_below boolean? has the place as it is, and removes all values below it

---@class skynet.registry.data.options
---@field url string
---@field timeout_cs integer
---@field office string a global name
---@field handle integer of the service that wants to write

--- Opens the place for data; nil when the backend has none.
---@param options skynet.registry.data.options
---@return skynet.registry.data?
function registry.open_data(options)
	if options.url:find("^etcds?://") then
		return require("skynet.registry.etcd_data").open(options)
	end
end

local function open(options)
	local scheme = options.url:match("^(%a[%w+.-]*)://")
	if not scheme then
		return require("skynet.registry.master").open(options)
	elseif scheme == "etcd" or scheme == "etcds" then
		return require("skynet.registry.etcd").open(options)
	end
	local text = "config key master: '%s' is neither host:port nor etcd://host:port/prefix"
	error(text:format(options.url), 0)
end

--- Opens the backend that options.url asks for.
---@param options skynet.registry.options
---@return skynet.registry.backend
function registry.open(options)
	local backend
	backend = open(callbacks.guard(options, function()
		backend:close()
	end))
	return backend
end

return registry
