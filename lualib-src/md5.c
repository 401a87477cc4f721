/* md5.c: the Lua library md5 of old, on OpenSSL: `require "md5"`.
 *
 * What crypt makes is a byte with the size of the seed, the seed, and the text XOR a stream of
 * keys: each key is the MD5 of the block before it and the password. The first such block is the
 * seed, filled with zeros; each further one is what has just been made (cipher feedback).
 *
 * For the protocols and files that ask for it: MD5 does not keep out who forges on purpose.
 * Threads    [any]
 */
#define OPENSSL_API_COMPAT 0x10100000L /* MD5 as it was: it cannot fail, and allocates nothing */

#include "skynet.h"
#include "skynet_crypt/text.h"

#include <lauxlib.h>
#include <lua.h>
#include <openssl/crypto.h>
#include <openssl/md5.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

SKYNET_API int luaopen_md5(lua_State *L);

enum { BLOCK_BYTES = MD5_DIGEST_LENGTH };

/* --- sums ---------------------------------------------------------------------------------- */

static void
digest_pair(const void *a, size_t a_size, const void *b, size_t b_size,
	    unsigned char digest[BLOCK_BYTES])
{
	MD5_CTX context;
	MD5_Init(&context);
	MD5_Update(&context, a, a_size);
	MD5_Update(&context, b, b_size);
	MD5_Final(digest, &context);
}

static int
push_hex(lua_State *L, const unsigned char digest[BLOCK_BYTES])
{
	char text[2 * BLOCK_BYTES];
	text_hex_encode((const char *)digest, BLOCK_BYTES, text);
	lua_pushlstring(L, text, sizeof text);
	return 1;
}

/* sum(text) -> 16 bytes */
static int
l_sum(lua_State *L)
{
	size_t size;
	const char *text = luaL_checklstring(L, 1, &size);
	unsigned char digest[BLOCK_BYTES];
	digest_pair(text, size, NULL, 0, digest);
	lua_pushlstring(L, (char *)digest, sizeof digest);
	return 1;
}

/* sumhexa(text) -> 32 hexadecimal digits */
static int
l_sumhexa(lua_State *L)
{
	size_t size;
	const char *text = luaL_checklstring(L, 1, &size);
	unsigned char digest[BLOCK_BYTES];
	digest_pair(text, size, NULL, 0, digest);
	return push_hex(L, digest);
}

/* hmacmd5(text, key) -> 32 hexadecimal digits (RFC 2104) */
static int
l_hmacmd5(lua_State *L)
{
	size_t size, key_size;
	const char *text = luaL_checklstring(L, 1, &size);
	const char *key = luaL_checklstring(L, 2, &key_size);
	unsigned char inner[MD5_CBLOCK] = {0}, outer[MD5_CBLOCK], digest[BLOCK_BYTES];
	if (key_size > sizeof inner)
		digest_pair(key, key_size, NULL, 0, inner);
	else
		memcpy(inner, key, key_size);
	for (size_t i = 0; i < sizeof inner; i++) {
		outer[i] = inner[i] ^ 0x5c;
		inner[i] ^= 0x36;
	}
	digest_pair(inner, sizeof inner, text, size, digest);
	digest_pair(outer, sizeof outer, digest, sizeof digest, digest);
	OPENSSL_cleanse(inner, sizeof inner);
	OPENSSL_cleanse(outer, sizeof outer);
	return push_hex(L, digest);
}

/* exor(a, b) -> a XOR b */
static int
l_exor(lua_State *L)
{
	size_t a_size, b_size;
	const char *a = luaL_checklstring(L, 1, &a_size);
	const char *b = luaL_checklstring(L, 2, &b_size);
	luaL_argcheck(L, a_size == b_size, 2, "lengths must be equal");
	luaL_Buffer buffer;
	char *result = luaL_buffinitsize(L, &buffer, a_size);
	for (size_t i = 0; i < a_size; i++)
		result[i] = (char)(a[i] ^ b[i]);
	luaL_pushresultsize(&buffer, a_size);
	return 1;
}

/* --- the cipher ---------------------------------------------------------------------------- */

struct cipher {
	unsigned char block[BLOCK_BYTES]; /* the last encrypted one, or the seed */
	const char *password;
	size_t password_size;
};

static void
cipher_init(struct cipher *cipher, const char *seed, size_t seed_size)
{
	memset(cipher->block, 0, sizeof cipher->block);
	memcpy(cipher->block, seed, seed_size);
}

/* Runs size bytes, a block at most, to the other form. */
static void
cipher_run(struct cipher *cipher, const char *from, char *to, size_t size, bool is_encrypted)
{
	unsigned char key[BLOCK_BYTES];
	digest_pair(cipher->block, sizeof cipher->block, cipher->password, cipher->password_size,
		    key);
	for (size_t i = 0; i < size; i++)
		to[i] = (char)(from[i] ^ key[i]);
	memcpy(cipher->block, is_encrypted ? from : to, size);
}

static void
cipher_run_all(struct cipher *cipher, const char *from, char *to, size_t size, bool is_encrypted)
{
	for (size_t i = 0; i < size; i += BLOCK_BYTES)
		cipher_run(cipher, from + i, to + i,
			   size - i < BLOCK_BYTES ? size - i : BLOCK_BYTES, is_encrypted);
}

/* The seed at index, or a random one, which is written to room. */
static const char *
check_seed(lua_State *L, int index, char room[BLOCK_BYTES], size_t *size)
{
	if (lua_isnoneornil(L, index)) {
		if (getentropy(room, BLOCK_BYTES) != 0)
			luaL_error(L, "the system gives no random bytes");
		*size = BLOCK_BYTES;
		return room;
	}
	const char *seed = luaL_checklstring(L, index, size);
	luaL_argcheck(L, *size <= BLOCK_BYTES, index, "seed too long (> 16)");
	return seed;
}

/* crypt(text, password[, seed]) -> encrypted */
static int
l_crypt(lua_State *L)
{
	struct cipher cipher;
	size_t size, seed_size;
	char random[BLOCK_BYTES];
	const char *text = luaL_checklstring(L, 1, &size);
	cipher.password = luaL_checklstring(L, 2, &cipher.password_size);
	const char *seed = check_seed(L, 3, random, &seed_size);
	cipher_init(&cipher, seed, seed_size);
	luaL_Buffer buffer;
	char *encrypted = luaL_buffinitsize(L, &buffer, 1 + seed_size + size);
	encrypted[0] = (char)seed_size;
	memcpy(encrypted + 1, seed, seed_size);
	cipher_run_all(&cipher, text, encrypted + 1 + seed_size, size, false);
	luaL_pushresultsize(&buffer, 1 + seed_size + size);
	return 1;
}

/* decrypt(encrypted, password) -> text */
static int
l_decrypt(lua_State *L)
{
	struct cipher cipher;
	size_t size;
	const char *encrypted = luaL_checklstring(L, 1, &size);
	cipher.password = luaL_checklstring(L, 2, &cipher.password_size);
	size_t seed_size = size > 0 ? (unsigned char)encrypted[0] : SIZE_MAX;
	luaL_argcheck(L, seed_size <= BLOCK_BYTES && size > seed_size, 1, "invalid cyphered text");
	cipher_init(&cipher, encrypted + 1, seed_size);
	size -= 1 + seed_size;
	luaL_Buffer buffer;
	char *text = luaL_buffinitsize(L, &buffer, size);
	cipher_run_all(&cipher, encrypted + 1 + seed_size, text, size, true);
	luaL_pushresultsize(&buffer, size);
	return 1;
}

int
luaopen_md5(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"sum", l_sum},	  {"sumhexa", l_sumhexa}, {"hmacmd5", l_hmacmd5},
		{"exor", l_exor}, {"crypt", l_crypt},	  {"decrypt", l_decrypt},
		{NULL, NULL},
	};
	luaL_newlib(L, functions);
	return 1;
}
