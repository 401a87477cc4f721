-- skynet.http.parser: answers of HTTP/1.1, whole, cut everywhere, and broken.
local parser = require("skynet.http.parser")
local test = require("skynet.test")

local case <const> = test.case

--- What comes of an answer whose bytes arrive in these pieces: status, headers, body in one text,
--- or what is wrong. at_end: the stream ends behind them.
local function read(pieces, at_end, options)
	local answer = parser.new(options)
	local body = {}
	for _, piece in ipairs(pieces) do
		local ok, problem = answer:feed(piece)
		if not ok then
			return "problem: " .. problem
		end
		body[#body + 1] = answer:take_body()
	end
	if at_end then
		local ok, problem = answer:finish()
		if not ok then
			return "problem: " .. problem
		end
	end
	local names = {}
	for name, value in pairs(answer.head and answer.head.headers or {}) do
		names[#names + 1] = name .. "=" .. value
	end
	table.sort(names)
	return ("%s %s|%s|%s|%s"):format(
		answer.head and answer.head.status,
		answer.is_complete and (answer:keeps_alive() and "alive" or "over") or "more",
		answer.head and answer.head.reason,
		table.concat(names, ","),
		table.concat(body)
	)
end

local ANSWERS <const> = {
	{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b c \t\r\n\r\nhello",
		"200 alive|OK|content-length=5,x-a=b c|hello" },
	{ "HTTP/1.1 200 OK\nContent-Length: 2\nConnection: Close\n\nhi",
		"200 over|OK|connection=Close,content-length=2|hi" },
	{ "HTTP/1.1 204 No Content\r\nSet: 1\r\nSet: 2\r\n\r\n", "204 alive|No Content|set=1, 2|" },
	{ "HTTP/1.1 304\r\nContent-Length: 77\r\n\r\n", "304 alive||content-length=77|" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
		.. "3\r\nabc\r\n0a ;x=1\r\n0123456789\r\n000\r\nTrailer: 1\r\n\r\n",
		"200 alive|OK|transfer-encoding=Chunked|abc0123456789" },
	{ "HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 103 Early\r\n\r\n"
		.. "HTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n",
		"500 alive|Bad|content-length=0|" },
	{ "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "200 over|OK|content-length=1|x" },
}

case("answers are read however they are cut", function()
	for _, answer in ipairs(ANSWERS) do
		local bytes, expected = answer[1], answer[2]
		test.equal(read({ bytes }), expected)
		for i = 1, #bytes - 1 do
			test.equal(read({ bytes:sub(1, i), bytes:sub(i + 1) }), expected)
		end
		local single = {}
		for i = 1, #bytes do
			single[i] = bytes:sub(i, i)
		end
		test.equal(read(single), expected)
	end
end)

case("an answer without a length goes on until the end of the stream", function()
	local bytes = "HTTP/1.1 200 OK\r\nA: b\r\n\r\nall of it"
	test.equal(read({ bytes }), "200 more|OK|a=b|all of it")
	test.equal(read({ bytes }, true), "200 over|OK|a=b|all of it")
end)

case("an end that comes too early is no end", function()
	for _, answer in ipairs(ANSWERS) do
		for i = 0, #answer[1] - 1 do
			local result = read({ answer[1]:sub(1, i) }, true)
			test.matches(result, "^problem: the stream has ended")
		end
	end
end)

case("an answer to HEAD has no body", function()
	local bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
	test.equal(read({ bytes }, false, { is_bare = true }), "200 alive|OK|content-length=5|")
	bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	local result = read({ bytes }, true, { is_bare = true })
	test.equal(result, "200 alive|OK|transfer-encoding=chunked|")
end)

local HEAD <const> = "HTTP/1.1 200 OK\r\n"
local CHUNKED <const> = HEAD .. "Transfer-Encoding: chunked\r\n\r\n"

local BROKEN <const> = {
	{ "SSH-2.0-OpenSSH_9\r\n", "is no answer of HTTP/1.1" },
	{ "HTTP/2.0 200 OK\r\n", "is no answer of HTTP/1.1" },
	{ "HTTP/1.1 20 OK\r\n", "is no answer of HTTP/1.1" },
	{ "HTTP/1.1 099 OK\r\n", "is no answer of HTTP/1.1" },
	{ "\r\n" .. HEAD, "is no answer of HTTP/1.1" },
	{ HEAD .. "no colon\r\n", "is no header field" },
	{ HEAD .. ": no name\r\n", "is no header field" },
	{ HEAD .. "A: b\r\n folded\r\n", "is no header field" },
	{ HEAD .. "A b: c\r\n", "is no header field" },
	{ HEAD .. "Content-Length: -1\r\n\r\n", "is no length of a body" },
	{ HEAD .. "Content-Length: 5, 6\r\n\r\n", "is no length of a body" },
	{ HEAD .. "Content-Length: 9999999999999\r\n\r\n", "is no length of a body" },
	{ HEAD .. "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "two lengths" },
	{ HEAD .. "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "both a length" },
	{ HEAD .. "Transfer-Encoding: gzip, chunked\r\n\r\n", "transfer coding" },
	{ CHUNKED .. "x\r\n", "is no size of a chunk" },
	{ CHUNKED .. "-1\r\n", "is no size of a chunk" },
	{ CHUNKED .. "\r\n", "is no size of a chunk" },
	{ CHUNKED .. "5 6\r\n", "is no size of a chunk" },
	{ CHUNKED .. "fffffffffffff\r\n", "is no size of a chunk" },
	{ CHUNKED .. "3\r\nabcd\r\n", "longer than it says" },
	{ HEAD .. "Content-Length: 1\r\n\r\nxy", "something follows the answer" },
	{ HEAD .. ("a"):rep(9000), "a line is longer than 8192 bytes" },
	{ HEAD .. ("a: b\r\n"):rep(20000), "the head is larger than 65536 bytes" },
	{ ("HTTP/1.1 100 Go\r\n\r\n"):rep(4000), "the head is larger than 65536 bytes" },
	{ CHUNKED .. "0\r\n" .. ("a: b\r\n"):rep(20000), "the head is larger than 65536 bytes" },
	{ CHUNKED .. ("f"):rep(9000), "a line is longer than 8192 bytes" },
}

case("what is no HTTP is refused, however it is cut, and for good", function()
	for _, broken in ipairs(BROKEN) do
		local bytes, problem = broken[1], broken[2]
		test.matches(read({ bytes }), problem)
		local step = math.max(1, #bytes // (#bytes < 1000 and 60 or 3))
		for i = 1, #bytes - 1, step do
			test.matches(read({ bytes:sub(1, i), bytes:sub(i + 1) }), problem)
		end
		local answer = parser.new()
		test.equal(answer:feed(bytes), false)
		test.equal(answer:feed(ANSWERS[1][1]), false)
		test.equal(answer:finish(), false)
		test.equal(answer:keeps_alive(), false)
	end
end)

case("no more of a body than the limit waits to be taken", function()
	local answer = parser.new({ body_limit = 10 })
	test.equal(answer:feed(CHUNKED .. "8\r\n12345678\r\n2\r\n90\r\n"), true)
	test.equal(answer:take_body(), "1234567890")
	test.equal(answer:feed("a\r\n1234567890"), true)
	local ok, problem = answer:feed("\r\n1\r\n1")
	test.equal(ok, false)
	test.equal(problem, "the body is larger than 10 bytes")
	test.matches(
		read({ HEAD .. "Content-Length: 999999999999\r\n\r\n" .. ("x"):rep(11) }, false, {
			body_limit = 10,
		}),
		"the body is larger than 10 bytes"
	)
end)

case("random bytes are refused or wait for more, and never raise", function()
	local pieces = {
		"HTTP/1.1 200 OK\r\n", "\r\n", "\n", "a: b", ":", "5", "0", "\r\n\r\n", "\0", "abc",
		"Transfer-Encoding: chunked\r\n", "Content-Length: 3\r\n", ";", " ", "HTTP/1.1 1",
	}
	for _ = 1, 3000 do
		local bytes = {}
		for i = 1, math.random(12) do
			bytes[i] = pieces[math.random(#pieces)]
		end
		read(bytes, math.random(2) == 1)
	end
end)
