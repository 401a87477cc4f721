---@meta md5
-- Declarations of `require "md5"`: MD5, for the protocols that ask for it. Wrong arguments raise.
-- luacheck: ignore 212

---@class md5
local md5 = {}

---@param text string
---@return string digest 16 bytes
function md5.sum(text) end

---@param text string
---@return string digest 32 hexadecimal digits
function md5.sumhexa(text) end

--- HMAC with MD5. The text comes first.
---@param text string
---@param key string
---@return string digest 32 hexadecimal digits
function md5.hmacmd5(text, key) end

--- Each byte of one text XOR that of the other, which is as long.
---@param a string
---@param b string
---@return string
function md5.exor(a, b) end

--- Encrypts with MD5 in cipher feedback mode. What it makes is up to 17 bytes longer.
---@param text string
---@param password string
---@param seed? string at most 16 bytes, another one for each text; random if it is missing
---@return string encrypted
function md5.crypt(text, password, seed) end

--- Decrypts what `crypt` has made. With another password the text is another one.
---@param encrypted string
---@param password string
---@return string text
function md5.decrypt(encrypted, password) end

return md5
