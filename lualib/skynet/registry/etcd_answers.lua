--- What etcd's JSON gateway answers: texts in JSON, errors with the codes of gRPC, bytes in base64,
--- numbers as texts. Does no I/O. Raises when it is loaded and cjson is not installed.
local crypt = require("skynet.crypt")

local etcd_answers = {}

--- Levels of a JSON text; etcd uses seven.
local DEPTH_MAX <const> = 16

--- Codes of gRPC that etcd answers with.
etcd_answers.CODE = {
	INVALID = 3,
	NOT_FOUND = 5,
	DENIED = 7,
	PRECONDITION = 9,
	OUT_OF_RANGE = 11,
	UNIMPLEMENTED = 12,
	UNAUTHENTICATED = 16,
}
--- Those that another try, or another member, would not change.
etcd_answers.FINAL = {}
for _, code in pairs(etcd_answers.CODE) do
	etcd_answers.FINAL[code] = true
end

local HINTS <const> = {
	["user name is empty"] = "it wants a user: etcd://user:password@host",
	["invalid user ID or password"] = "the user and the password in the URL are not right",
	["permission denied"] = "the user needs readwrite permission for the prefix of the URL",
}

local MISSING <const> = "an etcd needs the Lua library cjson, which is not here (config key "
	.. "lua_cpath): install it (3rd/deps etcd; on Debian: lua-cjson), then run make again"

--- The library that reads and writes JSON. Raises when it is not installed.
local function load_json()
	local ok, cjson = pcall(require, "cjson")
	if not ok then
		error(MISSING, 0)
	end
	local library = cjson.new()
	library.decode_max_depth(DEPTH_MAX)
	return library
end

local json <const> = load_json()

--- The table in a JSON text; nil when it is no JSON, or something else.
---@param text string
---@return table?
function etcd_answers.decode(text)
	local ok, value = pcall(json.decode, text)
	return ok and type(value) == "table" and value or nil
end

--- The JSON text of a table.
etcd_answers.encode = json.encode

--- The message of an error of etcd, with what may help.
local function describe(message)
	for text, hint in pairs(HINTS) do
		if message:find(text, 1, true) then
			return ("%s (%s)"):format(message, hint)
		end
	end
	return message
end

--- An error that etcd tells, from what it says in place of an answer.
---@param value table
---@return nil
---@return string reason
---@return integer? code
function etcd_answers.read_error(value)
	local message, code = value.message or value.error, value.code or value.grpc_code
	if type(value.error) == "table" then
		return etcd_answers.read_error(value.error)
	elseif type(message) ~= "string" then
		message = "an error without text"
	end
	return nil, describe(message), math.tointeger(code)
end

--- Whether it has what all answers of etcd have.
local function is_answer(value)
	local header = type(value) == "table" and value.header
	return type(header) == "table" and type(header.member_id) == "string"
end

--- The answer in an HTTP answer, or nil, a reason and, if etcd has told it, a code.
---@param head skynet.http.head
---@param body string
---@param is_sound? fun(answer: table): any what else it has to be to make sense
---@return table? answer
---@return string? reason
---@return integer? code
function etcd_answers.read(head, body, is_sound)
	local value = etcd_answers.decode(body)
	if head.status == 200 and value then
		if value.error then
			return etcd_answers.read_error(value)
		end
		-- Of a stream, such as keepalive, the first message.
		local answer = value.result or value
		if is_answer(answer) and (not is_sound or is_sound(answer)) then
			return answer
		end
		return nil, "answers without sense: is it an etcd of version 3.4 or later?"
	elseif value and (value.error or value.message) then
		return etcd_answers.read_error(value)
	elseif head.status == 200 then
		return nil, "answers, but not in JSON: it is no etcd"
	end
	local text = "answers %d %s to %s: it is no etcd of version 3.4 or later"
	return nil, text:format(head.status, head.reason:sub(1, 40), "POST /v3/...")
end

--- Bytes as etcd's JSON has them.
etcd_answers.to_base64 = crypt.base64encode

--- The bytes of a text that etcd has sent; nil when it is no base64.
---@param text any
---@return string?
function etcd_answers.from_base64(text)
	local ok, bytes = pcall(crypt.base64decode, text)
	return ok and bytes or nil
end

--- The revision that an answer, or a message of a watch, tells.
---@param answer table
---@return integer?
function etcd_answers.revision(answer)
	local header = answer.header
	return type(header) == "table" and math.tointeger(tonumber(header.revision)) or nil
end

--- Which etcd it is that answers. One that was restored from a backup is another one, or has had
--- fewer elections.
---@param answer table
---@return string? cluster
---@return integer term elections so far
function etcd_answers.origin(answer)
	local header = type(answer.header) == "table" and answer.header or {}
	return header.cluster_id, math.tointeger(tonumber(header.raft_term)) or 0
end

return etcd_answers
