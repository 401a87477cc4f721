---@meta skynet
-- Declarations of `require "skynet"` for editors and checkers (LuaCATS). Never loaded by a node:
-- the functions are written in C, in service-src/snlua. docs/lua-*.md explain how to use
-- them.
--
-- Times are in hundredths of a second (cs) unless a name says otherwise. "Waits" means: the task is
-- suspended, and other messages of the service are handled meanwhile; all other functions return at
-- once. "Raises" leaves out wrong arguments, which always raise, at the caller's level.
-- luacheck: ignore 212

--- A timer that comes again.
---@class skynet.interval

---@class skynet
---@field PTYPE_TEXT integer 0
---@field PTYPE_RESPONSE integer 1: answers, and timers
---@field PTYPE_MULTICAST integer 2
---@field PTYPE_CLIENT integer 3: frames of clients, from the gate
---@field PTYPE_SYSTEM integer 4
---@field PTYPE_HARBOR integer 5
---@field PTYPE_SOCKET integer 6
---@field PTYPE_ERROR integer 7: a request has failed (session), or a service is dead (session 0)
---@field PTYPE_QUEUE integer 8
---@field PTYPE_DEBUG integer 9
---@field PTYPE_LUA integer 10
---@field PTYPE_SNAX integer 11
---@field PTYPE_TRACE integer 12
---@field PTYPE_REMOTE integer 13: calls of remote objects
local skynet = {}

--- Who a message goes to: a handle, ":hex", or ".name".
---@alias skynet.address integer|string

--- Which protocol a message speaks: the name it was registered under, or its number.
---@alias skynet.type string|integer

--- Bytes: a text, or a block as skynet.pack gives it, behind which its size follows as an argument.
---@alias skynet.bytes string|lightuserdata

---@class skynet.protocol
---@field name string what the functions here call it
---@field id integer 0..255, the type of its messages
---@field pack? fun(...): skynet.bytes?, integer? makes the bytes of requests
---@field unpack? fun(data: lightuserdata, size: integer): ... reads messages; data is borrowed
---@field dispatch? skynet.handler the handler
---@field trace? boolean true: its requests are always traced; false: never

---@alias skynet.handler fun(session: integer, source: integer, ...)

--- A service's answer that is given later.
--- `r(true, ...)` answers; `r(false, text)` fails the request, with a text that the requester gets
--- behind the name of this service; `r(false, text, address)` passes on the text of a service that
--- has failed; `r("TEST")` tells whether an answer is still wanted.
--- The result is whether anybody gets the answer. A second answer raises.
---@alias skynet.responder fun(ok: boolean|"TEST", ...): boolean?

-- Life -----------------------------------------------------------------------------------------

--- Makes the service take messages, and runs f as its start function: once, as its next message.
--- When f has returned, the newservice that started the service returns; if f raises, the service
--- ends and newservice raises. To be called once, in the main chunk.
---@param f fun() may wait
function skynet.start(f) end

--- Runs the init functions and f as the start function, in the task that calls it: what start does.
--- For programs that have set a callback of their own. Waits.
---@param f fun() may wait
function skynet.init_service(f) end

--- Has f run before the start function, in the order of the calls; in a module that a task
--- requires: when the module's chunk has ended, before `require` returns. Anywhere else it raises.
---@param f fun() may wait
function skynet.init(f) end

--- Ends this service: open requests fail, its tasks are closed, those it waits for are told. Does
--- not return.
function skynet.exit() end

--- Starts a Lua service and returns when its start function has. Waits.
---
--- Raises `call failed: REASON` when the script is missing, its main chunk or start function
--- raises, or it is killed meanwhile.
---@param name string replaces the ? in the config's luaservice
---@param ... string|number words for the script; blanks inside separate words; nil only at the end
---@return integer? address nil when the service has ended by itself meanwhile
function skynet.newservice(name, ...) end

--- The same with a deadline of its own, as of call_within. A start that is given up goes on.
---@param deadline integer|false in 1/100 s; false: none
---@param name string
---@param ... string|number
---@return integer? address
function skynet.newservice_within(deadline, name, ...) end

--- The service of this name of which the node has only one: starts it, or gives the one that is
--- there. The first caller's arguments count; who asks while it starts waits too. Waits.
---
--- Raises when it could not be started, now or at any earlier time. With `true` in front: one in
--- the whole network of nodes.
---@param name string|true replaces the ? in the config's luaservice; "@name" is another of its kind
---@param ... string|number words for the script
---@return integer address
function skynet.uniqueservice(name, ...) end

--- The same, but waits until somebody else starts it.
---@param name string|true
---@param ... string the name behind `true`
---@return integer address
function skynet.queryservice(name, ...) end

--- Calls f once, when another service ends, in a task of its own; at once if there is no such
--- service. The reason is a text for humans.
---@param address integer
---@param f fun(address: integer, reason: string) may wait
---@return fun() unlink f is not called any more
function skynet.link(address, f) end

--- Limits the memory of this service's VM, from the end of the main chunk on. For the main chunk,
--- once. Beyond it Lua raises "not
--- enough memory".
---@param bytes integer
function skynet.memlimit(bytes) end

-- Protocols and handlers -----------------------------------------------------------------------

--- Registers a protocol, or "message type". "lua", "response" and "error" are there from the start.
--- Raises when its name or number is known already.
---@param class skynet.protocol
function skynet.register_protocol(class) end

--- Sets the handler of a protocol, or only asks for it.
---
--- A handler runs in a task of its own: it may wait. session 0: the message wants no answer.
---@param type skynet.type
---@param f? skynet.handler
---@return skynet.handler? previous with f: the former handler; without: the present one
function skynet.dispatch(type, f) end

--- Sets who gets messages of session 0 that have no protocol or no handler; by default they are
--- logged. Requests without handler are always answered with an error.
---@param f fun(session: integer, source: integer, data: lightuserdata, size: integer, type: any)
---@return function? previous
function skynet.dispatch_unknown_request(f) end

--- Sets who gets answers that nobody waits for; by default they are logged.
---@param f fun(session: integer, source: integer, data: lightuserdata, size: integer)
---@return function? previous
function skynet.dispatch_unknown_response(f) end

-- Sending and calling --------------------------------------------------------------------------

--- Sends a message that wants no answer.
---@param address skynet.address
---@param type skynet.type
---@param ... any what the protocol's pack takes; for "lua" see docs/lua-messages.md
---@return integer|false|nil sent 0: it is in the mailbox; nil: no such service; false: too large
function skynet.send(address, type, ...) end

--- Sends a request and returns its answer. Waits.
---
--- Raises `call to invalid address ADDRESS` when there is no such service, and `call failed:
--- REASON` when the other side raised, answered with an error, or ended.
---@param address skynet.address
---@param type skynet.type
---@param ... any
---@return any ... what the protocol's unpack makes of the answer
function skynet.call(address, type, ...) end

--- As call, with a deadline of its own. Raises also when there is no answer within that time; an
--- answer that comes later is dropped and counted. Waits.
---@param deadline integer|false cs; false: none
---@param address skynet.address
---@param type skynet.type
---@param ... any
---@return any ... what the protocol's unpack makes of the answer
function skynet.call_within(deadline, address, type, ...) end

--- Sets the deadline of all calls of this service that have none of their own. At first it is what
--- the config key `calltimeout` says.
---@param deadline? integer|false cs; false: none; nil: only asks
---@return integer|false former cs
function skynet.call_timeout(deadline) end

--- Makes a set of requests that are to be sent at once:
--- `for request, answer, reason in skynet.request(a)(b):select(limit) do ... end`.
--- skynet/select.lua declares what a set can do.
---@param request? table { address, type, arguments... }; more are added by calling the set
---@return skynet.request_set
function skynet.request(request) end

--- As send, with bytes that are packed already. A block is taken, also when nobody gets it.
---@param address skynet.address
---@param type skynet.type
---@param message? skynet.bytes
---@param size? integer
---@return integer|false|nil sent
function skynet.rawsend(address, type, message, size) end

--- As call, with bytes that are packed already; the answer is not unpacked. Waits.
---@param address skynet.address
---@param type skynet.type
---@param message? skynet.bytes a block is taken
---@param size? integer
---@return lightuserdata answer borrowed: valid until this task waits or ends
---@return integer size
function skynet.rawcall(address, type, message, size) end

--- Sends a message as if from another service.
---@param address skynet.address
---@param source integer who seems to send it; 0: this service
---@param type skynet.type "response" and "error" answer the request with that session
---@param session integer
---@param message? skynet.bytes a block is taken
---@param size? integer
---@return integer|false|nil session nil: no such service; false: too large
function skynet.redirect(address, source, type, session, message, size) end

--- Passes the request in hand on to another service, as it is: same bytes, type, session and
--- source, so the answer comes from there. It goes when the handler waits for the first time, or
--- ends. Raises in what is not a handler, and after it has answered or waited.
---@param address skynet.address on this node
---@return true|nil forwarded nil: there is no service of that name
---@return string? reason
function skynet.forward(address) end

--- A service becomes a member of a group, which is made when there is none of that number: what is
--- sent to the group's address goes to all members, with session 0. Whoever ends is no member any
--- more.
---@param number integer of 32 bits
---@param address? skynet.address of this node; nil: this service
function skynet.enter_group(number, address) end

--- A service is no member any more.
---@param number integer
---@param address? skynet.address nil: this service
function skynet.leave_group(number, address) end

--- Ends a group, if there is one, behind what was sent to it before.
---@param number integer
function skynet.clear_group(number) end

--- The address of a group, which is made when there is none.
---@param number integer
---@return integer? address
---@return string? reason
function skynet.query_group(number) end

--- Makes a table a remote object: in messages it travels as a reference, and others call its
--- methods. It lives until it is released or this service ends.
---@param object? table a new one, unless given
---@param number? integer 0 to 2^31 - 1, for an object that others bind by its number; otherwise one
--- that was never used is drawn
---@return table object
function skynet.remote_create(object, number) end

--- Ends a remote object of this service: it is a table as any other, and calls of it fail.
---@param object table
function skynet.remote_release(object) end

--- The remote object of a handle (the field `__remote`): itself, when it lives here, or a
--- reference, whose methods wait. Handle 0 is the root's, which waits.
---@param handle integer
---@return table object
function skynet.remote_bind(handle) end

--- The handle of a remote object by the service that it lives in, and its number there.
---@param address integer
---@param number integer
---@return integer handle
function skynet.remote_handle(address, number) end

--- The root: a remote object that knows others by name, one for all nodes. Waits.
---@return table root
function skynet.remote_root() end

--- As rawcall, as part of a trace.
---@param tag string
---@param address skynet.address
---@param type skynet.type
---@param message? skynet.bytes a block is taken
---@param size? integer
---@return lightuserdata answer borrowed: valid until this task waits or ends
---@return integer size
function skynet.tracecall(tag, address, type, message, size) end

--- Draws a session that no task of this service waits for.
---@return integer session 1..2^31-1
function skynet.genid() end

-- Answering ------------------------------------------------------------------------------------

--- Answers the request that this task handles, with bytes. Raises `No session` when there is none,
--- or it is answered.
---@param message? skynet.bytes a block is taken; nil is an empty answer
---@param size? integer
---@return boolean sent false: nobody wants it (a send), or the requester is gone
function skynet.ret(message, size) end

--- Answers the request with values in the "lua" format: ret(pack(...)).
---@param ... any
---@return boolean sent
function skynet.retpack(...) end

--- Takes the request out of this task's hands, to be answered later, by any task. Raises `no
--- session` when there is none. A responder that is dropped unused fails the request.
---@param pack? fun(...): skynet.bytes?, integer? by default skynet.packstring
---@return skynet.responder
function skynet.response(pack) end

--- Declares that the request gets no answer from this task: its session means something else.
function skynet.ignoreret() end

--- What this task handles. Nothing in a fork or a timer, and once the request was answered.
---@return integer? session
---@return integer? source
function skynet.context() end

-- Tasks ----------------------------------------------------------------------------------------

--- Runs f(...) in a new task, right after the present message, before the next one.
---@param f function may wait
---@param ... any
---@return thread
function skynet.fork(f, ...) end

--- Runs f in a new task after a time.
---@param delay integer cs; 0 or less: behind the messages that are in the mailbox now
---@param f fun() may wait
---@return integer timer for cancel
function skynet.timeout(delay, f) end

--- timeout with milliseconds.
---@param delay integer ms
---@param f fun() may wait
---@return integer timer
function skynet.timeout_ms(delay, f) end

--- Runs f again and again. The times are multiples of the period after this call: they do not
--- drift, however late one comes. While f still runs, or when the service is busy, times are left
--- out.
---@param period integer cs
---@param f fun(missed: integer) may wait; missed: how many times were left out since the last one
---@return skynet.interval timer
function skynet.interval(period, f) end

--- interval with milliseconds.
---@param period integer ms
---@param f fun(missed: integer)
---@return skynet.interval timer
function skynet.interval_ms(period, f) end

--- Stops a timer. What it was to run does not run any more; a run that has begun goes on.
---@param timer integer|skynet.interval what timeout or interval has returned
---@return boolean was_set false: it has fired, or was cancelled
function skynet.cancel(timer) end

--- Suspends the task for a time. Waits.
---@param delay integer cs; 0 or less: until the messages in the mailbox are handled
---@param token? any what wakeup calls the task; by default its coroutine
---@return "BREAK"? woken "BREAK" when wakeup came first
function skynet.sleep(delay, token) end

--- sleep with milliseconds. Waits.
---@param delay integer ms
---@param token? any
---@return "BREAK"? woken
function skynet.sleep_ms(delay, token) end

--- sleep(0): lets the messages in the mailbox pass. Waits.
---@return "BREAK"? woken
function skynet.yield() end

--- Suspends the task until wakeup. Waits. Raises when another task waits for the same token.
---@param token? any by default the coroutine
function skynet.wait(token) end

--- Wakes the task that sleeps or waits under the token. It runs when the present one has suspended
--- or ended.
---@param token any
---@return true? woken nil: no task waits under it
function skynet.wakeup(token) end

--- What is suspended in this service. The result depends on x:
--- nil: how many tasks and timers; a table: it gets a traceback of each; a session: its traceback,
--- or "No session"; a coroutine: its session; "init": the traceback of the start function until
--- that has returned.
---@param x? table|integer|thread|"init"
---@return integer|string|nil
function skynet.task(x) end

--- The places where tasks of this service are suspended.
---@return table<string, string> places "COUNT\tsessions:[1,2,...]\n" -> traceback
function skynet.uniqtask() end

--- Ends a suspended task: its variables are closed, its request fails, the answer it waits for will
--- be dropped. Or cancels a timer.
---@param thread thread|string|integer a task's coroutine, a Lua pattern for its name, or a timer
---@return thread|integer|nil killed nil: there was none
function skynet.killthread(thread) end

-- Traces ---------------------------------------------------------------------------------------

--- Begins a trace: what this task does is logged from now on, as `<TRACE TAG> NANOSECONDS EVENT`,
--- and so is what its calls make other services do. Raises outside of a task.
---@param text? string for the first event
function skynet.trace(text) end

--- The trace that this task belongs to.
---@return string|false|nil tag nil: none; false: its type of message is never traced
function skynet.tracetag() end

--- Sets which requests of a type are traced.
---@param type skynet.type
---@param flag? boolean true: all; false: none; nil: those that belong to a trace
function skynet.traceproto(type, flag) end

--- Logs an event of a trace.
---@param tag string
---@param text string
---@param co? thread whose stack `level` means; by default the running one; may be left out
---@param level? integer also logs up to three places, from this level of the stack on
function skynet.tracelog(tag, text, co, level) end

--- Notes from now on where timers are set, for skynet.task. It costs a traceback each.
---@param on boolean
function skynet.trace_timeout(on) end

-- Others -----------------------------------------------------------------------------------------

--- Treats an address as dead: calls of this service to exactly this address fail, requests of that
--- service want no answer any more.
---@param address skynet.address
function skynet.term(address) end

--- Handles a message as if it had just come, then all tasks that are ready. For wrappers.
---@param type integer the number of a protocol
---@param message? skynet.bytes borrowed
---@param size? integer
---@param session integer
---@param source integer
function skynet.dispatch_message(type, message, size, session, source) end

-- Bytes ----------------------------------------------------------------------------------------

--- Packs values in the "lua" format. Raises for functions, threads, userdata, and tables nested
--- more than 32 deep.
---@param ... any
---@return lightuserdata block given: send it, or skynet.trash it
---@return integer size
function skynet.pack(...) end

--- The same, as a text.
---@param ... any
---@return string
function skynet.packstring(...) end

--- Unpacks values. Raises for broken bytes.
---@param data? skynet.bytes borrowed; nil has no values
---@param size? integer of a block
---@return any ...
function skynet.unpack(data, size) end

--- The bytes of a block as a text.
---@param data? lightuserdata borrowed; nil: nothing is returned
---@param size? integer
---@return string?
function skynet.tostring(data, size) end

--- Frees a block.
---@param data skynet.bytes of a text nothing is to be freed
---@param size integer
function skynet.trash(data, size) end

-- Addresses and names --------------------------------------------------------------------------

--- The handle of this service.
---@return integer
function skynet.self() end

--- Finds a local name.
---@param name string ".name"
---@return integer? handle
function skynet.localname(name) end

--- An address as text: ":0000000a" for a handle.
---@param address any
---@return string
function skynet.address(address) end

--- Which node a handle belongs to.
---@param handle integer
---@return integer node
---@return boolean is_remote
function skynet.harbor(handle) end

-- Environment and log --------------------------------------------------------------------------

--- A setting of the config, or one added later.
---@param key string
---@return string? value
function skynet.getenv(key) end

--- Adds a setting, for all services of the process. Raises when there is one.
---@param key string without blanks
---@param value string|number
function skynet.setenv(key, value) end

--- Logs one line: the arguments as text, with blanks between.
---@param ... any
function skynet.error(...) end

-- Time -----------------------------------------------------------------------------------------

--- The clock of the node. It never jumps.
---@return integer cs
function skynet.now() end

--- The monotonic clock.
---@return integer nanoseconds
function skynet.hpc() end

--- When the node started.
---@return integer seconds UTC
function skynet.starttime() end

--- The wall clock. It follows the clock of the system: when that is set, it jumps.
---@return number seconds UTC
function skynet.time() end

-- The mailbox ----------------------------------------------------------------------------------

---@class skynet.mailbox_options What is not given is as the config says.
---@field warning? integer so many waiting messages are logged, again when doubled; 0: never
---@field limit? integer 0..65535: so many messages may wait; 0: any number
---@field policy? "error"|"drop"|"block" what senders to a full mailbox get
---@field overload? fun(length: integer) runs as a task when the length is logged

--- Bounds what may wait in this service's mailbox. Answers, errors, timers and sockets always pass.
---@param options skynet.mailbox_options
function skynet.mailbox(options) end

-- Statistics -----------------------------------------------------------------------------------

--- A figure about this service: "mqlen" messages in the mailbox, "message" messages so far, "cpu"
--- seconds so far, "time" CPU seconds of the present message, "memory" bytes, "endless" 1 once when
--- the watchdog has found a message that takes seconds, "late" answers that came behind a deadline,
--- "refused" messages that found the mailbox full, "lost" those without session that a service of
--- another node could not take.
---@param what "mqlen"|"message"|"cpu"|"time"|"memory"|"endless"|"late"|"refused"|"lost"
---@return number
function skynet.stat(what) end

--- Messages in the mailbox.
---@return integer
function skynet.mqlen() end

--- stat("endless") as a yes or no.
---@return boolean
function skynet.endless() end

--- Sets what tells about this service: the answer to the debug command INFO.
---@param f fun(...): ... gets the words of the question; may wait
function skynet.info_func(f) end

-- skynet.manager -------------------------------------------------------------------------------

--- Starts a service of any module, without waiting for more than its init.
--- From `require "skynet.manager"`.
---@param module string replaces the ? in the config's cpath
---@param ... string|number words of its parameter
---@return integer? handle nil: it failed, the log says why
function skynet.launch(module, ...) end

--- Ends a service at once. What it was asked and has not answered fails.
--- From `require "skynet.manager"`.
---@param address skynet.address
function skynet.kill(address) end

--- Ends all services, and with them the process.
--- From `require "skynet.manager"`.
---@param status? integer what the process ends with; by default 0
function skynet.abort(status) end

--- Gives this service a local name, or a global one, which has no dot. A taken name stays with its
--- owner. Global names have 16 bytes at most; in a network of nodes they are the same on all nodes.
--- From `require "skynet.manager"`.
---@param name string ".name"
function skynet.register(name) end

--- Gives a service a local name, or a global one.
--- From `require "skynet.manager"`.
---@param name string ".name"
---@param address skynet.address
function skynet.name(name, address) end

--- Makes a service the node's exit monitor: for each service that ends it gets a message of type
--- "client", session 0, from the address that is gone. The service is one of its kind in the whole
--- network of nodes. Waits. From `require "skynet.manager"`.
---@param name string
---@param is_query? boolean waits until somebody else starts it
---@return integer address
function skynet.monitor(name, is_query) end

--- As skynet.start, for a service that passes the bytes of messages on. Messages whose type is a
--- key of `map` are dispatched as type map[type], and their handler owns the block: it sends it on,
--- or frees it with skynet.trash. Other messages are handled and freed as usual.
--- From `require "skynet.manager"`.
---@param map table<integer, integer>
---@param f fun() may wait
function skynet.forward_type(map, f) end

--- As skynet.start, but every message goes through `filter` first: it gets type, message, size,
--- session and source, and what it returns is dispatched. The block it was given is freed as usual
--- afterwards; another one that it returns stays its own. It must not wait.
--- From `require "skynet.manager"`.
---@param filter fun(type: integer, message: lightuserdata, size: integer, ...: integer): ...
---@param f fun() may wait
function skynet.filter(filter, f) end

--- The protocols by name and by number: views, in which `dispatch` and `trace` can be set.
---@type table<string|integer, skynet.protocol>
skynet._proto = {}

--- `require "skynet.codecache"`.
skynet.cache = require("skynet.codecache")

--- Lua's own pcall, for old code.
skynet.pcall = pcall

return skynet
