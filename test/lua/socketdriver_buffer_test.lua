-- The buffers of skynet.socketdriver: bytes that came in chunks, read as somebody asks for them.
local driver = require("skynet.socketdriver")
local check = require("check")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- The next pop of count bytes gives that text (or nil), and leaves so many.
local function expect_pop(buffer, count, text, left)
	local got, size = driver.pop(buffer, {}, count)
	check.equal(got, text)
	check.equal(size, left)
end

--- A buffer with these chunks in it.
local function filled(...)
	local buffer = driver.buffer()
	local size = 0
	for _, chunk in ipairs({ ... }) do
		size = size + #chunk
		check.equal(driver.push(buffer, {}, driver.str2p(chunk)), size)
	end
	return buffer
end

case("a_buffer_gives_bytes_as_they_are_asked_for", function()
	local pool = {}
	local buffer = filled("hel", "", "lo ", "world")
	check.equal(#buffer, 11)
	expect_pop(buffer, 5, "hello", 6)
	expect_pop(buffer, 0, "", 6)
	expect_pop(buffer, 7, nil, 6)
	expect_pop(buffer, 6, " world", 0)
	expect_pop(buffer, 1, nil, 0)
	expect_pop(buffer, 0, "", 0)
	check.equal(driver.readall(buffer, pool), "")
	driver.push(buffer, pool, driver.str2p("again"))
	check.equal(driver.readall(buffer, pool), "again")
	driver.push(buffer, pool, driver.str2p("dropped"))
	driver.clear(buffer, pool)
	check.equal(#buffer, 0)
	driver.clear(nil, pool)
end)

case("a_buffer_finds_lines_however_they_are_cut", function()
	local separators = { "\n", "\r\n", "--", "aab", "a separator that is rather long" }
	for _, separator in ipairs(separators) do
		local lines = { "", "one", "-", "a", "aa", "\r", "the last" }
		local text = table.concat(lines, separator) .. separator .. "rest"
		for cut = 1, #text do
			local buffer = driver.buffer()
			local found = {}
			for from = 1, #text, cut do
				local chunk = text:sub(from, from + cut - 1)
				driver.push(buffer, {}, driver.str2p(chunk))
				while driver.readline(buffer, nil, separator) do
					found[#found + 1] = driver.readline(buffer, {}, separator)
				end
				check.equal(driver.readline(buffer, {}, separator), nil)
			end
			-- What the text says, found as plainly as can be.
			local expected, at = {}, 1
			while text:find(separator, at, true) do
				local first, last = text:find(separator, at, true)
				expected[#expected + 1] = text:sub(at, first - 1)
				at = last + 1
			end
			check.equal(table.concat(found, "|"), table.concat(expected, "|"))
			check.equal(#found, #expected)
			check.equal(driver.readall(buffer, {}), text:sub(at))
		end
	end
end)

case("a_buffer_searches_anew_for_another_separator", function()
	local buffer = filled("a;b,c")
	check.equal(driver.readline(buffer, {}, "\n"), nil)
	check.equal(driver.readline(buffer, {}, ","), "a;b")
	driver.push(buffer, {}, driver.str2p(";"))
	check.equal(driver.readline(buffer, {}, "\n"), nil)
	check.equal(driver.readline(buffer, {}, ";"), "c")
	buffer = filled("x", "y")
	check.equal(driver.readline(buffer, {}, "yz"), nil)
	check.equal(driver.pop(buffer, {}, 1), "x")
	driver.push(buffer, {}, driver.str2p("z"))
	check.equal(driver.readline(buffer, {}, "yz"), "")
end)

case("a_buffer_holds_a_long_line_that_comes_byte_by_byte", function()
	local buffer = driver.buffer()
	local count = 100000
	for i = 1, count do
		driver.push(buffer, {}, driver.str2p(string.char(65 + i % 26)))
		if i % 10 == 0 then
			check.equal(driver.readline(buffer, {}, "\n"), nil)
		end
	end
	driver.push(buffer, {}, driver.str2p("\nrest"))
	local line = driver.readline(buffer, {}, "\n")
	check.equal(#line, count)
	check.equal(line:sub(1, 4), "BCDE")
	expect_pop(buffer, 4, "rest", 0)
end)

case("misuse_of_buffers_is_refused", function()
	local buffer = driver.buffer()
	check.misuse("bad argument #1", driver.pop, "buffer", {}, 1)
	check.misuse("bad argument #1", driver.pop, driver.share("x"), {}, 1)
	check.misuse("bad argument #3.*not a number of bytes", driver.pop, buffer, {}, -1)
	check.misuse("bad argument #3", driver.push, buffer, {}, "text", 4)
	local pointer, size = driver.str2p("x")
	check.misuse("bad argument #4.*not the size", driver.push, buffer, {}, pointer, -1)
	driver.drop(pointer, size)
	check.misuse("bad argument #3.*an empty separator", driver.readline, buffer, {}, "")
	check.misuse("bad argument #3", driver.readline, buffer, {})
	check.equal(getmetatable(buffer), false)
end)

return cases
