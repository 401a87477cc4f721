-- skynet.crypt: the numbers of the protocol, published vectors, the command openssl, and slow
-- models of the same in Lua.
local skynet = require("skynet")
local crypt = require("skynet.crypt")
local check = require("check")

local hex <const>, unhex <const> = crypt.hexencode, crypt.hexdecode

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local function random_text(size)
	local bytes = {}
	for i = 1, size do
		bytes[i] = string.char(math.random(0, 255))
	end
	return table.concat(bytes)
end

--- What a command prints when it is given the text, or nil if there is no such command.
local function filter(command, text)
	local name = os.tmpname()
	local file <close> = assert(io.open(name, "wb"))
	file:write(text)
	file:flush()
	local pipe = assert(io.popen(("%s < %s 2>/dev/null"):format(command, name)))
	local output = pipe:read("a")
	local ok = pipe:close()
	os.remove(name)
	return ok and output or nil
end

-- --- keys and the exchange -------------------------------------------------------------------

case("hashes_and_signatures_are_those_of_the_protocol", function()
	check.equal(hex(crypt.hashkey("")), "05150000a7c6674e")
	check.equal(hex(crypt.hashkey("hello")), "9930920fcbef1867")
	check.equal(hex(crypt.hmac64("01234567", "89abcdef")), "490bbb4678a16267")
	check.equal(hex(crypt.hmac64_md5("01234567", "89abcdef")), "9ae52ea6bcb47f2d")
	check.equal(hex(crypt.hmac_hash("01234567", "hello")), "1babe0b0cd91da2c")
	check.equal(
		crypt.hmac_hash("01234567", "hello"),
		crypt.hmac64(crypt.hashkey("hello"), "01234567")
	)
end)

case("both_sides_of_an_exchange_have_the_secret", function()
	local ours, theirs = crypt.dhexchange("11111111"), crypt.dhexchange("22222222")
	check.equal(hex(ours), "d58a469cfded705e")
	check.equal(hex(theirs), "b36021d9c4c51b0c")
	check.equal(hex(crypt.dhsecret(theirs, "11111111")), "956912b688b33b42")
	check.equal(hex(crypt.dhsecret(ours, "22222222")), "956912b688b33b42")
	for _ = 1, 50 do
		local a, b = crypt.randomkey(), crypt.randomkey()
		check.equal(
			crypt.dhsecret(crypt.dhexchange(a), b),
			crypt.dhsecret(crypt.dhexchange(b), a)
		)
	end
end)

local PRIME <const> = 0xffffffffffffffc5

--- a + b modulo the prime, for two numbers below it.
local function add(a, b)
	local sum = a + b
	if math.ult(sum, a) or not math.ult(sum, PRIME) then
		sum = sum - PRIME
	end
	return sum
end

local function multiply(a, b)
	local product = 0
	for i = 63, 0, -1 do
		product = add(product, product)
		if b >> i & 1 == 1 then
			product = add(product, a)
		end
	end
	return product
end

local function power(base, exponent)
	local result = 1
	for i = 63, 0, -1 do
		result = multiply(result, result)
		if exponent >> i & 1 == 1 then
			result = multiply(result, base)
		end
	end
	return result
end

case("the_exchange_agrees_with_slow_arithmetic", function()
	local numbers = { 1, 2, PRIME - 1, PRIME + 1, PRIME + 58, 1 << 63, (1 << 32) - 1, 1 << 32 }
	for _ = 1, 20 do
		numbers[#numbers + 1] = math.random(0) | 1
	end
	for i, base in ipairs(numbers) do
		local exponent = numbers[#numbers + 1 - i]
		local reduced = math.ult(base, PRIME) and base or base - PRIME
		local expected = power(reduced, exponent)
		local secret = crypt.dhsecret(("<i8"):pack(base), ("<i8"):pack(exponent))
		check.equal(("<i8"):unpack(secret), expected, ("%x ^ %x"):format(base, exponent))
	end
end)

case("squares_that_carry_to_the_last_step_are_right", function()
	-- Of 2^64 products about a thousand do.
	for root, square in pairs({
		[0xfffffffeffffffc5] = 59,
		[0xe9370a62e13c6f09] = 60,
		[0xffffffffffffffbd] = 64,
		[0x4e4fb6df5b577f35] = 66,
		[0xcf3820880ad66a42] = 67,
	}) do
		local secret = crypt.dhsecret(("<i8"):pack(root), ("<i8"):pack(2))
		check.equal(("<i8"):unpack(secret), square)
	end
end)

case("zero_is_no_number_of_the_exchange", function()
	local zero, prime = ("\0"):rep(8), ("<i8"):pack(PRIME)
	check.misuse("bad argument #1.*Can't be 0", crypt.dhexchange, zero)
	check.misuse("bad argument #1.*Can't be 0", crypt.dhsecret, zero, "12345678")
	check.misuse("bad argument #1.*Can't be 0", crypt.dhsecret, prime, "12345678")
	check.misuse("bad argument #2.*Can't be 0", crypt.dhsecret, "12345678", zero)
end)

case("random_keys_are_eight_bytes_and_not_the_same", function()
	local seen = {}
	for _ = 1, 1000 do
		local key = crypt.randomkey()
		check.equal(#key, 8)
		check.ok(not seen[key], "another key")
		seen[key] = true
	end
end)

case("equals_looks_at_every_byte", function()
	check.equal(crypt.equals("", ""), true)
	check.equal(crypt.equals("abc", "abc"), true)
	check.equal(crypt.equals("abc", "abd"), false)
	check.equal(crypt.equals("abc", "xbc"), false)
	check.equal(crypt.equals("abc", "abcd"), false)
	check.equal(crypt.equals("a\0b", "a\0c"), false)
end)

-- --- hashes and ciphers ----------------------------------------------------------------------

case("sha1_has_the_published_vectors", function() -- FIPS 180-4, RFC 2202
	check.equal(hex(crypt.sha1("abc")), "a9993e364706816aba3e25717850c26c9cd0d89d")
	check.equal(hex(crypt.sha1("")), "da39a3ee5e6b4b0d3255bfef95601890afd80709")
	check.equal(
		hex(crypt.sha1(("a"):rep(1000000))),
		"34aa973cd4c4daa4f61eeb2bdbad27316534016f"
	)
	local function hmac(key, text)
		return hex(crypt.hmac_sha1(key, text))
	end
	check.equal(
		hmac(("\x0b"):rep(20), "Hi There"),
		"b617318655057264e28bc0b6fb378c8ef146be00"
	)
	check.equal(
		hmac("Jefe", "what do ya want for nothing?"),
		"effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
	)
	check.equal(
		hmac(("\xaa"):rep(80), "Test Using Larger Than Block-Size Key - Hash Key First"),
		"aa4ae5e15272d00e95705637ce8a3b55ed402112"
	)
	check.equal(hmac("", ""), "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d")
end)

case("hmac_sha256_has_the_published_vectors", function() -- RFC 4231
	local function hmac(key, text)
		return hex(crypt.hmac_sha256(key, text))
	end
	check.equal(
		hmac(("\x0b"):rep(20), "Hi There"),
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
	)
	check.equal(
		hmac("Jefe", "what do ya want for nothing?"),
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	)
	check.equal(
		hmac(("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First"),
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
	)
end)

case("des_has_the_published_vectors", function() -- NIST SP 800-17, and the example of FIPS 46-3
	local function first_block(key, text)
		return hex(crypt.desencode(unhex(key), unhex(text)):sub(1, 8))
	end
	check.equal(first_block("0101010101010101", "8000000000000000"), "95f8a5e5dd31d900")
	check.equal(first_block("0101010101010101", "0000000000000001"), "166b40b44aba4bd6")
	check.equal(first_block("8001010101010101", "0000000000000000"), "95a8d72813daa94d")
	check.equal(first_block("7ca110454a1a6e57", "01a1d6d039776742"), "690f5b0d9a26939b")
	check.equal(first_block("133457799bbcdff1", "0123456789abcdef"), "85e813540f0ab405")
end)

case("what_des_encrypts_it_decrypts", function()
	for _, padding in ipairs({ false, crypt.padding.iso7816_4, crypt.padding.pkcs7 }) do
		for size = 0, 40 do
			local key, text = crypt.randomkey(), random_text(size)
			local encrypted = crypt.desencode(key, text, padding or nil)
			check.equal(#encrypted, (size // 8 + 1) * 8)
			check.equal(crypt.desdecode(key, encrypted, padding or nil), text)
		end
	end
	check.equal(
		crypt.desencode("8 bytes.", "text"),
		crypt.desencode("8 bytes.", "text\x80\0\0\0"):sub(1, 8)
	)
	check.equal(
		crypt.desencode("8 bytes.", "text", crypt.padding.pkcs7),
		crypt.desencode("8 bytes.", "text\4\4\4\4"):sub(1, 8)
	)
end)

case("des_refuses_what_nobody_has_encrypted", function()
	local iso <const>, pkcs7 <const> = crypt.padding.iso7816_4, crypt.padding.pkcs7
	--- A block that decrypts to these 8 bytes, without padding.
	local function block(bytes)
		return crypt.desencode("8 bytes.", bytes):sub(1, 8)
	end
	local zeros <const> = ("\0"):rep(8)
	for _, bytes in ipairs({ zeros, "1234567\1", "123456\x80\1", "1\x7f\0\0\0\0\0\0" }) do
		check.misuse("wrong padding", crypt.desdecode, "8 bytes.", block(bytes), iso)
	end
	for _, bytes in ipairs({ "1234567\0", "1234567\9", "123456\1\2", "\7\8\8\8\8\8\8\8" }) do
		check.misuse("wrong padding", crypt.desdecode, "8 bytes.", block(bytes), pkcs7)
	end
	check.equal(crypt.desdecode("8 bytes.", block("\x80\0\0\0\0\0\0\0")), "")
	check.equal(crypt.desdecode("8 bytes.", block(("\8"):rep(8)), pkcs7), "")
	check.equal(crypt.desdecode("8 bytes.", block("1\x80\x80\0\0\0\0\0")), "1\x80")
	for _, text in ipairs({ "", "1234567", "123456789" }) do
		check.misuse("multiple of 8", crypt.desdecode, "8 bytes.", text)
	end
end)

case("openssl_agrees", function()
	local is_there = filter("openssl version", "") ~= nil
	if not is_there then
		skynet.error("the command openssl is not installed: nothing to compare with")
		return
	end
	for _, size in ipairs({ 0, 1, 2, 3, 47, 48, 49, 1000 }) do
		local text = random_text(size)
		check.equal(filter("openssl base64 -A", text), crypt.base64encode(text))
		check.equal(crypt.base64decode(filter("openssl base64", text)), text)
		check.equal(filter("openssl dgst -sha1 -binary", text), crypt.sha1(text))
		local key = "a key of any length"
		check.equal(
			filter(("openssl dgst -sha1 -hmac '%s' -binary"):format(key), text),
			crypt.hmac_sha1(key, text)
		)
		local des_key = crypt.randomkey()
		local encrypted = filter(
			"openssl enc -des-ecb -provider legacy -provider default -K "
				.. hex(des_key),
			text
		)
		if encrypted then -- else its provider for old ciphers is not installed
			check.equal(encrypted, crypt.desencode(des_key, text, crypt.padding.pkcs7))
		end
	end
end)

case("xor_str_repeats_the_key", function()
	check.equal(crypt.xor_str("", "key"), "")
	check.equal(crypt.xor_str("abcd", "\1"), "`cbe")
	check.equal(crypt.xor_str("\0\0\0\0\0", "ab"), "ababa")
	for size = 1, 40 do
		local text, key = random_text(100), random_text(size)
		local encrypted = crypt.xor_str(text, key)
		check.equal(crypt.xor_str(encrypted, key), text)
		local i = math.random(1, 100)
		check.equal(encrypted:byte(i), text:byte(i) ~ key:byte((i - 1) % size + 1))
	end
	check.misuse("bad argument #2.*empty", crypt.xor_str, "text", "")
end)

-- --- bytes as text ---------------------------------------------------------------------------

case("hex_goes_both_ways", function()
	check.equal(hex("\0\1\x7f\x80\xff"), "00017f80ff")
	check.equal(hex(""), "")
	check.equal(unhex(""), "")
	for size = 0, 200 do
		local bytes = random_text(size)
		check.equal(hex(bytes), (bytes:gsub(".", function(byte)
			return ("%02x"):format(byte:byte())
		end)))
		check.equal(unhex(hex(bytes)), bytes)
	end
end)

case("hex_is_pairs_of_lower_case_digits", function()
	check.misuse("Invalid hex text: an odd number", unhex, "abc")
	for byte = 0, 255 do
		local digit = string.char(byte)
		if digit:find("^[0-9a-f]$") then
			check.equal(unhex("0" .. digit):byte(), tonumber(digit, 16))
			check.equal(unhex(digit .. "0"):byte(), tonumber(digit, 16) << 4)
		else
			check.misuse("Invalid hex text: digits are", unhex, "0" .. digit)
			check.misuse("Invalid hex text: digits are", unhex, digit .. "0")
		end
	end
end)

case("base64_has_the_published_vectors", function() -- RFC 4648
	for text, encoded in pairs({
		[""] = "",
		f = "Zg==",
		fo = "Zm8=",
		foo = "Zm9v",
		foob = "Zm9vYg==",
		fooba = "Zm9vYmE=",
		foobar = "Zm9vYmFy",
		["\xfb\xff\xbf"] = "+/+/",
	}) do
		check.equal(crypt.base64encode(text), encoded)
		check.equal(crypt.base64decode(encoded), text)
		check.equal(crypt.base64decode((encoded:gsub("=", ""))), text)
	end
end)

--- Base64 by the letter of its definition: all bits in a row, six a character.
local function slow_base64(bytes)
	local bits = bytes:gsub(".", function(byte)
		local number = byte:byte()
		return (("x"):rep(8):gsub("x", function()
			number = number << 1
			return number >> 8 & 1
		end))
	end)
	bits = bits .. ("0"):rep(-#bits % 6)
	local alphabet <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	local text = bits:gsub("......", function(six)
		local value = tonumber(six, 2) + 1
		return alphabet:sub(value, value)
	end)
	return text .. ("="):rep(-#text % 4)
end

case("base64_goes_both_ways_whatever_stands_between", function()
	for size = 0, 200 do
		local bytes = random_text(size)
		local text = crypt.base64encode(bytes)
		check.equal(text, slow_base64(bytes))
		check.equal(crypt.base64decode(text), bytes)
		local foreign = text:gsub(".", function(digit)
			local behind = ("\n\r \0-_\xff"):sub(math.random(7))
			return math.random(3) == 1 and digit .. behind or nil
		end)
		check.equal(crypt.base64decode(foreign), bytes)
	end
end)

case("base64_that_is_of_no_bytes_is_refused", function()
	local bad <const> = { "A", "Z", "Zm9vA", "Zh==", "Zh", "Zm9=", "Zg==Zg==", "Zg=g", "=A" }
	for _, text in ipairs(bad) do
		check.misuse("Invalid base64 text", crypt.base64decode, text)
	end
	for _, text in ipairs({ "", "=", "====", "\n", "Zg=", "Zg=\n=", "Zg===" }) do
		check.equal(crypt.base64decode(text), text:find("Z") and "f" or "")
	end
end)

case("any_text_is_read_or_refused", function()
	for _ = 1, 5000 do
		local text = random_text(math.random(0, 40))
		local ok, result = pcall(crypt.base64decode, text)
		if ok then
			local digits = text:gsub("[^%w+/]", "")
			check.equal((crypt.base64encode(result):gsub("=", "")), digits)
		else
			check.matches(result, "Invalid base64 text")
		end
		check.equal(pcall(unhex, text), #text % 2 == 0 and not text:find("[^0-9a-f]"))
	end
end)

-- --- misuse ----------------------------------------------------------------------------------

case("wrong_arguments_are_named", function()
	local EIGHT <const> = {
		dhexchange = 1,
		dhsecret = 2,
		hmac64 = 2,
		hmac64_md5 = 2,
		hmac_hash = 1,
		desencode = 1,
		desdecode = 1,
	}
	for name, count in pairs(EIGHT) do
		local f = crypt[name]
		local eight <const> = "12345678"
		check.misuse("bad argument #1.*8 bytes expected, got 7", f, "1234567", eight)
		check.misuse("bad argument #1.*8 bytes expected, got 0", f, "", eight)
		check.misuse("bad argument #1.*string expected", f, nil, eight)
		if count == 2 then
			check.misuse("bad argument #2.*got 9", f, eight, "123456789")
		end
	end
	for _, name in ipairs({ "hashkey", "sha1", "hexencode", "hexdecode", "base64encode" }) do
		check.misuse("bad argument #1.*string expected", crypt[name])
		check.misuse("bad argument #1.*string expected", crypt[name], {})
	end
	check.misuse("bad argument #1.*string expected", crypt.base64decode, true)
	for _, name in ipairs({ "hmac_sha1", "hmac_sha256", "xor_str", "equals" }) do
		check.misuse("bad argument #1.*string expected", crypt[name], nil, "text")
		check.misuse("bad argument #2.*string expected", crypt[name], "text")
	end
	check.misuse("bad argument #2", crypt.hmac_hash, "12345678", {})
	for _, name in ipairs({ "desencode", "desdecode" }) do
		check.misuse("bad argument #2", crypt[name], "12345678")
		for _, padding in ipairs({ 2, -1, "pkcs7" }) do
			local key <const>, text <const> = "12345678", "12345678"
			check.misuse("bad argument #3", crypt[name], key, text, padding)
		end
	end
end)

case("it_is_there_for_clients_too", function()
	local client = require("client.crypt")
	for name in pairs(crypt) do
		check.equal(type(client[name]), type(crypt[name]), name)
	end
	check.equal(client.base64encode("foo"), "Zm9v")
end)

return cases
