/* crypt.c: keys, hashes, ciphers and bytes as text for Lua: `require "skynet.crypt"`, and the same
 * as "client.crypt" for programs that are no services.
 *
 * It knows no service and keeps nothing, so it works in every Lua.
 * Threads    [any]
 */
#include "des.h"
#include "exchange.h"
#include "skynet.h"
#include "text.h"

#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

SKYNET_API int luaopen_skynet_crypt(lua_State *L);
SKYNET_API int luaopen_client_crypt(lua_State *L);

enum { KEY_BYTES = 8 };

/* --- arguments ----------------------------------------------------------------------------- */

/* A text of exactly 8 bytes. */
static const char *
check_key(lua_State *L, int index)
{
	size_t size;
	const char *key = luaL_checklstring(L, index, &size);
	if (size != KEY_BYTES)
		luaL_argerror(L, index,
			      lua_pushfstring(L, "8 bytes expected, got %I", (lua_Integer)size));
	return key;
}

static uint64_t
check_number(lua_State *L, int index)
{
	return exchange_load(check_key(L, index));
}

/* A number of the exchange that is not zero: zero would be everybody's secret. */
static uint64_t
check_factor(lua_State *L, int index)
{
	uint64_t number = check_number(L, index);
	luaL_argcheck(L, number % EXCHANGE_PRIME != 0, index, "Can't be 0");
	return number;
}

static int
push_number(lua_State *L, uint64_t number)
{
	char bytes[KEY_BYTES];
	exchange_store(number, bytes);
	lua_pushlstring(L, bytes, sizeof bytes);
	return 1;
}

/* --- keys and the exchange ----------------------------------------------------------------- */

/* randomkey() -> 8 random bytes */
static int
l_randomkey(lua_State *L)
{
	char key[KEY_BYTES];
	if (getentropy(key, sizeof key) != 0)
		return luaL_error(L, "the system gives no random bytes");
	lua_pushlstring(L, key, sizeof key);
	return 1;
}

/* dhexchange(private) -> public */
static int
l_dhexchange(lua_State *L)
{
	return push_number(L, exchange_power(EXCHANGE_BASE, check_factor(L, 1)));
}

/* dhsecret(public of the other, private) -> secret */
static int
l_dhsecret(lua_State *L)
{
	uint64_t public = check_factor(L, 1);
	return push_number(L, exchange_power(public, check_factor(L, 2)));
}

/* equals(a, b) -> boolean, in a time that does not tell where they differ */
static int
l_equals(lua_State *L)
{
	size_t a_size, b_size;
	const char *a = luaL_checklstring(L, 1, &a_size);
	const char *b = luaL_checklstring(L, 2, &b_size);
	lua_pushboolean(L, a_size == b_size && CRYPTO_memcmp(a, b, a_size) == 0);
	return 1;
}

/* --- hashes -------------------------------------------------------------------------------- */

/* hashkey(text) -> 8 bytes */
static int
l_hashkey(lua_State *L)
{
	size_t size;
	const char *text = luaL_checklstring(L, 1, &size);
	return push_number(L, exchange_hash(text, size));
}

/* hmac64(x, y) -> 8 bytes */
static int
l_hmac64(lua_State *L)
{
	uint64_t x = check_number(L, 1);
	return push_number(L, exchange_sign(x, check_number(L, 2)));
}

/* hmac64_md5(x, y) -> 8 bytes */
static int
l_hmac64_md5(lua_State *L)
{
	uint64_t x = check_number(L, 1);
	return push_number(L, exchange_sign_md5(x, check_number(L, 2)));
}

/* hmac_hash(key, text) -> 8 bytes */
static int
l_hmac_hash(lua_State *L)
{
	uint64_t key = check_number(L, 1);
	size_t size;
	const char *text = luaL_checklstring(L, 2, &size);
	return push_number(L, exchange_sign(exchange_hash(text, size), key));
}

/* sha1(text) -> 20 bytes */
static int
l_sha1(lua_State *L)
{
	size_t size;
	const char *text = luaL_checklstring(L, 1, &size);
	unsigned char digest[SHA_DIGEST_LENGTH];
	if (!SHA1((const unsigned char *)text, size, digest))
		return luaL_error(L, "OpenSSL refuses SHA-1 on this system");
	lua_pushlstring(L, (char *)digest, sizeof digest);
	return 1;
}

/* Pushes the HMAC of the text, argument 2, with the key, argument 1. */
static int
push_hmac(lua_State *L, const EVP_MD *hash, const char *name)
{
	size_t key_size, size;
	const char *key = luaL_checklstring(L, 1, &key_size);
	const char *text = luaL_checklstring(L, 2, &size);
	luaL_argcheck(L, key_size <= INT_MAX, 1, "too long for a key");
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_size;
	if (!HMAC(hash, key, (int)key_size, (const unsigned char *)text, size, digest,
		  &digest_size))
		return luaL_error(L, "OpenSSL refuses HMAC with %s on this system", name);
	lua_pushlstring(L, (char *)digest, digest_size);
	return 1;
}

/* hmac_sha1(key, text) -> 20 bytes */
static int
l_hmac_sha1(lua_State *L)
{
	return push_hmac(L, EVP_sha1(), "SHA-1");
}

/* hmac_sha256(key, text) -> 32 bytes */
static int
l_hmac_sha256(lua_State *L)
{
	return push_hmac(L, EVP_sha256(), "SHA-256");
}

/* --- ciphers ------------------------------------------------------------------------------- */

static enum des_padding
check_padding(lua_State *L, int index)
{
	lua_Integer padding = luaL_optinteger(L, index, DES_PADDING_ISO7816_4);
	luaL_argcheck(L, padding == DES_PADDING_ISO7816_4 || padding == DES_PADDING_PKCS7, index,
		      "not one of crypt.padding");
	return (enum des_padding)padding;
}

/* desencode(key, text[, padding]) -> whole blocks */
static int
l_desencode(lua_State *L)
{
	const char *key = check_key(L, 1);
	size_t size;
	const char *text = luaL_checklstring(L, 2, &size);
	enum des_padding padding = check_padding(L, 3);
	luaL_Buffer buffer;
	char *encrypted = luaL_buffinitsize(L, &buffer, des_size(size));
	des_encode(key, padding, text, size, encrypted);
	luaL_pushresultsize(&buffer, des_size(size));
	return 1;
}

/* desdecode(key, whole blocks[, padding]) -> text */
static int
l_desdecode(lua_State *L)
{
	const char *key = check_key(L, 1);
	size_t size;
	const char *encrypted = luaL_checklstring(L, 2, &size);
	enum des_padding padding = check_padding(L, 3);
	luaL_argcheck(L, size > 0 && size % DES_BYTES == 0, 2,
		      "Invalid des text: its length is no multiple of 8");
	luaL_Buffer buffer;
	char *text = luaL_buffinitsize(L, &buffer, size);
	ptrdiff_t text_size = des_decode(key, padding, encrypted, size, text);
	if (text_size < 0)
		return luaL_error(L, "Invalid des text: wrong padding, so another key, padding or "
				     "text than it was made with");
	luaL_pushresultsize(&buffer, (size_t)text_size);
	return 1;
}

/* xor_str(text, key) -> text, each byte XOR that of the key, repeated */
static int
l_xor_str(lua_State *L)
{
	size_t size, key_size;
	const char *text = luaL_checklstring(L, 1, &size);
	const char *key = luaL_checklstring(L, 2, &key_size);
	luaL_argcheck(L, key_size > 0, 2, "Can't xor with an empty text");
	luaL_Buffer buffer;
	char *result = luaL_buffinitsize(L, &buffer, size);
	for (size_t i = 0, k = 0; i < size; i++) {
		result[i] = (char)(text[i] ^ key[k]);
		k = k + 1 < key_size ? k + 1 : 0;
	}
	luaL_pushresultsize(&buffer, size);
	return 1;
}

/* --- bytes as text ------------------------------------------------------------------------- */

/* hexencode(bytes) -> text */
static int
l_hexencode(lua_State *L)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	luaL_Buffer buffer;
	text_hex_encode(bytes, size, luaL_buffinitsize(L, &buffer, text_hex_size(size)));
	luaL_pushresultsize(&buffer, text_hex_size(size));
	return 1;
}

/* hexdecode(text) -> bytes */
static int
l_hexdecode(lua_State *L)
{
	size_t size;
	const char *text = luaL_checklstring(L, 1, &size);
	luaL_argcheck(L, size % 2 == 0, 1, "Invalid hex text: an odd number of digits");
	luaL_Buffer buffer;
	ptrdiff_t written = text_hex_decode(text, size, luaL_buffinitsize(L, &buffer, size / 2));
	luaL_argcheck(L, written >= 0, 1, "Invalid hex text: digits are 0-9 and a-f");
	luaL_pushresultsize(&buffer, (size_t)written);
	return 1;
}

/* base64encode(bytes) -> text */
static int
l_base64encode(lua_State *L)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	luaL_Buffer buffer;
	text_base64_encode(bytes, size, luaL_buffinitsize(L, &buffer, text_base64_size(size)));
	luaL_pushresultsize(&buffer, text_base64_size(size));
	return 1;
}

/* base64decode(text) -> bytes */
static int
l_base64decode(lua_State *L)
{
	size_t size;
	const char *text = luaL_checklstring(L, 1, &size);
	luaL_Buffer buffer;
	char *bytes = luaL_buffinitsize(L, &buffer, text_base64_room(size));
	ptrdiff_t written = text_base64_decode(text, size, bytes);
	luaL_argcheck(L, written >= 0, 1, "Invalid base64 text");
	luaL_pushresultsize(&buffer, (size_t)written);
	return 1;
}

int
luaopen_skynet_crypt(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"randomkey", l_randomkey},
		{"dhexchange", l_dhexchange},
		{"dhsecret", l_dhsecret},
		{"equals", l_equals},
		{"hashkey", l_hashkey},
		{"hmac64", l_hmac64},
		{"hmac64_md5", l_hmac64_md5},
		{"hmac_hash", l_hmac_hash},
		{"sha1", l_sha1},
		{"hmac_sha1", l_hmac_sha1},
		{"hmac_sha256", l_hmac_sha256},
		{"desencode", l_desencode},
		{"desdecode", l_desdecode},
		{"xor_str", l_xor_str},
		{"hexencode", l_hexencode},
		{"hexdecode", l_hexdecode},
		{"base64encode", l_base64encode},
		{"base64decode", l_base64decode},
		{NULL, NULL},
	};
	luaL_newlib(L, functions);
	lua_createtable(L, 0, 2);
	lua_pushinteger(L, DES_PADDING_ISO7816_4);
	lua_setfield(L, -2, "iso7816_4");
	lua_pushinteger(L, DES_PADDING_PKCS7);
	lua_setfield(L, -2, "pkcs7");
	lua_setfield(L, -2, "padding");
	return 1;
}

int
luaopen_client_crypt(lua_State *L)
{
	return luaopen_skynet_crypt(L);
}
