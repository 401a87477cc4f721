--- How a slave and its master prove to each other that they know the secret of the network (config
--- key harbor_secret), without telling it. Pure: texts in, texts out.
---
---     slave                                        master
---       hello: magic, version, nonce of the slave ──>
---         <── hello: magic, version, nonce of the master, proof of the master
---       proof of the slave ──>
---       claim: what it claims, and a proof of that ──>
---         <── welcome, or refused: why
---
--- A proof is the HMAC-SHA-256, with the secret as its key, of what it is for, both nonces and, of
--- a claim, its text. Both nonces are drawn anew for each connection, so no proof is worth anything
--- a second time, nor in another place. The slave proves itself before its claim, because that may
--- be long, and nothing long is read from a stranger. A version that differs is told before
--- anything else is looked at, so hello never changes its form.
---
--- What follows is not signed: who can change packets on their way is kept out by TLS only.
local crypt = require("skynet.crypt")
local fields = require("skynet.network.fields")

local handshake = {
	VERSION = 1,
}

local MAGIC <const> = "skynet master"
local NONCE_BYTES <const> = 16
local PROOF_BYTES <const> = 32

--- A number that nobody has used before.
---@return string
function handshake.nonce()
	return crypt.randomkey() .. crypt.randomkey()
end

--- What follows the word "hello"; the master adds its proof.
---@param nonce string
---@return string magic
---@return integer version
---@return string nonce
function handshake.hello(nonce)
	return MAGIC, handshake.VERSION, nonce
end

--- Looks at what the other side has said first.
---@param packet skynet.network.packet
---@return string? nonce
---@return string? reason
function handshake.check_hello(packet)
	local kind, magic, version, nonce = table.unpack(packet, 1, 4)
	if kind ~= "hello" or magic ~= MAGIC then
		return nil, "it does not speak the protocol of a master and its slaves"
	elseif version ~= handshake.VERSION then
		local text = "it speaks version %s of the protocol, and version %d is spoken here"
		return nil, text:format(fields.printable(version, 20), handshake.VERSION)
	elseif type(nonce) ~= "string" or #nonce ~= NONCE_BYTES then
		return nil, "its hello is broken"
	end
	return nonce
end

--- What proves that this side knows the secret.
---@param secret string
---@param purpose "master"|"slave"|"claim" who it is, or that the claim is its own
---@param slave_nonce string
---@param master_nonce string
---@param claim? string
---@return string proof
function handshake.proof(secret, purpose, slave_nonce, master_nonce, claim)
	local text = string.pack("zs4s4s4", purpose, slave_nonce, master_nonce, claim or "")
	return crypt.hmac_sha256(secret, text)
end

--- Whether somebody else's proof is the expected one.
---@param proof any
---@param expected string
---@return boolean
function handshake.is_right(proof, expected)
	return type(proof) == "string" and #proof == PROOF_BYTES and crypt.equals(proof, expected)
end

--- Looks at a proof that a side has sent before its claim.
---@param proof any
---@param secret string of this side; "": it has none
---@param purpose "master"|"slave"
---@param slave_nonce string
---@param master_nonce string
---@return string? reason why it is not the right one
function handshake.check_proof(proof, secret, purpose, slave_nonce, master_nonce)
	local expected = handshake.proof(secret, purpose, slave_nonce, master_nonce)
	if handshake.is_right(proof, expected) then
		return nil
	end
	local unsecret = handshake.proof("", purpose, slave_nonce, master_nonce)
	if secret == "" or handshake.is_right(proof, unsecret) then
		return "one has a harbor_secret, and the other has none"
	end
	return "the secret is another one (config key harbor_secret)"
end

return handshake
