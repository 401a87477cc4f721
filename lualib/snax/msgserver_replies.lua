--- What the requests of one user were answered with, so that none is handled twice when its user
--- has lost the connection before the answer came.
---
--- R1  A reply is kept until so many later ones are finished: of `limit` finished replies to
---     2 * limit the latest are there. Those under way are always there.
--- R2  A session that is finished may be used for a new request on the connection that used it, and
---     one that is under way may not. On a later connection both mean the former request.
local replies = {}
replies.__index = replies

---@class snax.msgserver.reply
---@field connection number the index of the connection that has used the session last
---@field is_running boolean?
---@field packet string? the response, when there is one
---@field order integer? which response of the user it was

---@class snax.msgserver.replies
---@field limit integer
---@field max_pending integer
---@field pending_count integer
---@field finished_count integer
---@field sessions table<string, snax.msgserver.reply>

--- No replies yet.
---@param limit integer how many are kept at least
---@param max_pending integer how many requests may be under way
---@return snax.msgserver.replies
function replies.new(limit, max_pending)
	return setmetatable({
		limit = limit,
		max_pending = max_pending,
		pending_count = 0,
		finished_count = 0,
		sessions = {},
	}, replies)
end

--- A request has come. Returns its reply: with a packet, which is to be sent again; or running, and
--- then it is under way already; or else it is to be handled.
---@param session string
---@param connection number the index of the connection that it has come on
---@return snax.msgserver.reply? reply nil: the client must not do this
---@return string? reason
function replies:begin(session, connection)
	local reply = self.sessions[session]
	if reply and reply.connection ~= connection then -- R2: again, on a later connection
		reply.connection = connection
		return reply
	elseif reply and not reply.packet then
		return nil, "a session that is under way is used again"
	elseif self.pending_count >= self.max_pending then
		return nil, ("more than %d requests under way"):format(self.max_pending)
	end
	self.pending_count = self.pending_count + 1
	reply = { connection = connection }
	self.sessions[session] = reply
	return reply
end

--- Forgets the oldest replies when there are too many. R1.
local function forget(self)
	for session, reply in pairs(self.sessions) do
		if reply.order and reply.order <= self.limit then
			self.sessions[session] = nil
		elseif reply.order then
			reply.order = reply.order - self.limit
		end
	end
	self.finished_count = self.finished_count - self.limit
end

--- The request is answered.
---@param reply snax.msgserver.reply
---@param packet string
function replies:finish(reply, packet)
	self.pending_count = self.pending_count - 1
	self.finished_count = self.finished_count + 1
	reply.is_running = nil
	reply.packet = packet
	reply.order = self.finished_count
	if self.finished_count >= 2 * self.limit then
		forget(self)
	end
end

return replies
