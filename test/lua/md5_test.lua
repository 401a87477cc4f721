-- md5: published vectors, and the form of what crypt makes.
local md5 = require("md5")
local crypt = require("skynet.crypt")
local check = require("check")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

case("sums_have_the_published_vectors", function() -- RFC 1321
	for text, sum in pairs({
		[""] = "d41d8cd98f00b204e9800998ecf8427e",
		a = "0cc175b9c0f1b6a831c399e269772661",
		abc = "900150983cd24fb0d6963f7d28e17f72",
		["message digest"] = "f96b697d7cb7938d525a2f31aaf161d0",
		[("1234567890"):rep(8)] = "57edf4a22be3c955ac49da2e2107b67a",
	}) do
		check.equal(md5.sumhexa(text), sum)
		check.equal(crypt.hexencode(md5.sum(text)), sum)
	end
end)

case("hmac_has_the_published_vectors", function() -- RFC 2202
	check.equal(md5.hmacmd5("Hi There", ("\x0b"):rep(16)), "9294727a3638bb1c13f48ef8158bfc9d")
	check.equal(
		md5.hmacmd5("what do ya want for nothing?", "Jefe"),
		"750c783e6ab0b503eaa86e310a5db738"
	)
	check.equal(
		md5.hmacmd5(
			"Test Using Larger Than Block-Size Key - Hash Key First",
			("\xaa"):rep(80)
		),
		"6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"
	)
end)

case("exor_takes_two_texts_of_one_length", function()
	check.equal(md5.exor("abc", "abc"), "\0\0\0")
	check.equal(md5.exor("ab", "AB"), "  ")
	check.equal(md5.exor("", ""), "")
	check.misuse("lengths must be equal", md5.exor, "a", "ab")
end)

--- crypt by the letter of its definition.
local function slow_crypt(text, password, seed)
	local block = seed .. ("\0"):rep(16 - #seed)
	local pieces = { string.char(#seed), seed }
	for i = 1, #text, 16 do
		local piece = text:sub(i, i + 15)
		local encrypted = crypt.xor_str(piece, md5.sum(block .. password))
		pieces[#pieces + 1] = encrypted
		block = encrypted
	end
	return table.concat(pieces)
end

case("crypt_is_a_stream_of_sums_behind_a_seed", function()
	for size = 0, 70 do
		local text = ("x"):rep(size)
		for _, seed in ipairs({ "", "s", "0123456789abcdef" }) do
			local encrypted = md5.crypt(text, "password", seed)
			check.equal(encrypted, slow_crypt(text, "password", seed))
			check.equal(md5.decrypt(encrypted, "password"), text)
		end
	end
	local long = ("any text "):rep(10000)
	check.equal(md5.decrypt(md5.crypt(long, "password"), "password"), long)
	check.equal(md5.decrypt(md5.crypt("text", ""), ""), "text")
	check.ok(md5.decrypt(md5.crypt(long, "password"), "Password") ~= long, "another text")
end)

case("the_seed_is_random_unless_given", function()
	local first, second = md5.crypt("text", "password"), md5.crypt("text", "password")
	check.equal(#first, 1 + 16 + 4)
	check.ok(first ~= second, "another seed")
end)

case("wrong_arguments_are_named", function()
	for _, name in ipairs({ "sum", "sumhexa", "hmacmd5", "exor", "crypt", "decrypt" }) do
		check.misuse("bad argument #1.*string expected", md5[name])
	end
	for _, name in ipairs({ "hmacmd5", "exor", "crypt", "decrypt" }) do
		check.misuse("bad argument #2.*string expected", md5[name], "\0")
	end
	check.misuse("bad argument #3.*seed too long", md5.crypt, "text", "password", ("s"):rep(17))
	local short <const>, large <const> = "\x10123456789abcdef", "\x11123456789abcdefgh"
	for _, text in ipairs({ "", "\1", "\xff", short, large }) do
		check.misuse("invalid cyphered text", md5.decrypt, text, "password")
	end
	check.equal(md5.decrypt("\0", "password"), "")
end)

return cases
