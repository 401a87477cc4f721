---@meta skynet.crypt
-- Declarations of `require "skynet.crypt"`: keys, hashes, ciphers, and bytes as text. It works in
-- every Lua, also as "client.crypt". Wrong arguments raise. See docs/crypt.md for what is safe.
-- luacheck: ignore 212

---@class skynet.crypt
---@field padding skynet.crypt.padding
local crypt = {}

--- How the last block of a text is filled, for `desencode` and `desdecode`.
---@class skynet.crypt.padding
---@field iso7816_4 0 the byte 80, then zeros: the default
---@field pkcs7 1 each byte is the number of bytes
crypt.padding = { iso7816_4 = 0, pkcs7 = 1 }

--- 8 random bytes, from the system's generator.
---@return string key
function crypt.randomkey() end

--- The public number of a private one, which is not zero. Both are 8 bytes.
---@param private string
---@return string public
function crypt.dhexchange(private) end

--- The secret that both sides have when each knows the public number of the other.
---@param public string the other side's, 8 bytes
---@param private string this side's, 8 bytes
---@return string secret 8 bytes
function crypt.dhsecret(public, private) end

--- Are the texts equal? Takes as long wherever they differ, so that nobody can guess a signature
--- byte by byte.
---@param a string
---@param b string
---@return boolean
function crypt.equals(a, b) end

--- A hash that makes a key of a text.
---@param text string
---@return string key 8 bytes
function crypt.hashkey(text) end

--- A signature: of a challenge with a secret. Made of one step of MD5.
---@param challenge string 8 bytes
---@param secret string 8 bytes
---@return string signature 8 bytes
function crypt.hmac64(challenge, secret) end

--- Another one, made of the whole MD5.
---@param challenge string 8 bytes
---@param secret string 8 bytes
---@return string signature 8 bytes
function crypt.hmac64_md5(challenge, secret) end

--- The signature of any text: `hmac64(hashkey(text), key)`.
---@param key string 8 bytes
---@param text string
---@return string signature 8 bytes
function crypt.hmac_hash(key, text) end

--- SHA-1.
---@param text string
---@return string digest 20 bytes
function crypt.sha1(text) end

--- HMAC with SHA-1.
---@param key string
---@param text string
---@return string digest 20 bytes
function crypt.hmac_sha1(key, text) end

--- HMAC with SHA-256: the signature to choose for something new.
---@param key string
---@param text string
---@return string digest 32 bytes
function crypt.hmac_sha256(key, text) end

--- Encrypts with single DES in ECB mode. The text becomes 1 to 8 bytes longer.
---@param key string 8 bytes
---@param text string
---@param padding? integer one of crypt.padding
---@return string encrypted
function crypt.desencode(key, text, padding) end

--- Decrypts. Raises when the length is no multiple of 8, or the padding is wrong: then the key is
--- most likely another one.
---@param key string 8 bytes
---@param encrypted string
---@param padding? integer one of crypt.padding
---@return string text
function crypt.desdecode(key, encrypted, padding) end

--- Each byte of the text XOR one of the key, which is repeated and not empty.
---@param text string
---@param key string
---@return string
function crypt.xor_str(text, key) end

--- Two lower-case digits a byte.
---@param bytes string
---@return string text
function crypt.hexencode(bytes) end

--- Reads pairs of lower-case digits. Raises for anything else.
---@param text string
---@return string bytes
function crypt.hexdecode(text) end

--- Base64 in the standard alphabet, padded, in one line.
---@param bytes string
---@return string text
function crypt.base64encode(bytes) end

--- Reads base64. Skips what is not of the alphabet, such as line ends; the "=" may be missing.
--- Raises `Invalid base64 text` when something follows the "=", or the last bits are of no byte.
---@param text string
---@return string bytes
function crypt.base64decode(text) end

return crypt
