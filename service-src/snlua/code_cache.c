/* code_cache.c: see code_cache.h.
 *
 * C1  An entry's bytes never change; a changed file makes a new entry. A reader holds a reference
 *     while it loads them, so clearing never pulls them away.
 * C2  Under the lock nothing is read from disk and no Lua code runs.
 */
#include "code_cache.h"

#include "skynet.h"

#include <lauxlib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BUCKETS 256 /* a service loads tens of files, a process knows hundreds */

struct entry {
	struct entry *next; /* under lock, as are the references */
	int references;
	struct timespec modified;
	off_t file_size;
	ino_t inode;
	char *path;
	char *code;
	size_t code_size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *buckets[BUCKETS];

/* FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo). */
static unsigned
bucket_of(const char *path)
{
	uint32_t hash = UINT32_C(2166136261);
	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * UINT32_C(16777619);
	return hash % BUCKETS;
}

static bool
is_current(const struct entry *entry, const struct stat *file)
{
	return entry->modified.tv_sec == file->st_mtim.tv_sec &&
	       entry->modified.tv_nsec == file->st_mtim.tv_nsec &&
	       entry->file_size == file->st_size && entry->inode == file->st_ino;
}

static void
unreference_locked(struct entry *entry)
{
	if (--entry->references > 0)
		return;
	free(entry->path);
	free(entry->code);
	free(entry);
}

static void
unreference(struct entry *entry)
{
	(void)pthread_mutex_lock(&lock);
	unreference_locked(entry);
	(void)pthread_mutex_unlock(&lock);
}

/* Returns a referenced entry, or NULL. */
static struct entry *
find(const char *path, const struct stat *file)
{
	(void)pthread_mutex_lock(&lock);
	struct entry *entry = buckets[bucket_of(path)];
	while (entry && !(strcmp(entry->path, path) == 0 && is_current(entry, file)))
		entry = entry->next;
	if (entry)
		entry->references++;
	(void)pthread_mutex_unlock(&lock);
	return entry;
}

/* Takes the entry in the place of older ones of its path. */
static void
store(struct entry *entry)
{
	(void)pthread_mutex_lock(&lock);
	struct entry **link = &buckets[bucket_of(entry->path)];
	entry->next = *link;
	*link = entry;
	link = &entry->next;
	while (*link) {
		struct entry *old = *link;
		if (strcmp(old->path, entry->path) != 0) {
			link = &old->next;
			continue;
		}
		*link = old->next;
		unreference_locked(old);
	}
	(void)pthread_mutex_unlock(&lock);
}

static int
append(lua_State *L, const void *bytes, size_t size, void *ud)
{
	struct entry *entry = ud;
	(void)L;
	entry->code = skynet_realloc(entry->code, entry->code_size + size);
	memcpy(entry->code + entry->code_size, bytes, size);
	entry->code_size += size;
	return 0;
}

/* Keeps the chunk on top of the stack for others. */
static void
remember(lua_State *L, const char *path, const struct stat *file)
{
	struct entry *entry = skynet_calloc(1, sizeof *entry);
	entry->references = 1;
	entry->path = skynet_strdup(path);
	entry->modified = file->st_mtim;
	entry->file_size = file->st_size;
	entry->inode = file->st_ino;
	(void)lua_dump(L, append, entry, 0); /* append never fails; 0: lines for tracebacks stay */
	store(entry);
}

int
code_cache_load(lua_State *L, const char *path, enum code_cache_mode mode)
{
	struct stat file;
	if (mode == CODE_CACHE_OFF || stat(path, &file) != 0)
		return luaL_loadfilex(L, path, NULL); /* it says what is wrong */
	struct entry *entry = find(path, &file);
	if (!entry) {
		int status = luaL_loadfilex(L, path, NULL);
		if (status == LUA_OK && mode == CODE_CACHE_ON)
			remember(L, path, &file);
		return status;
	}
	/* The code knows its file; the name here is for errors, of which it has none. */
	int status = luaL_loadbufferx(L, entry->code, entry->code_size, path, "b");
	unreference(entry);
	return status;
}

void
code_cache_clear(void)
{
	(void)pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < BUCKETS; i++) {
		while (buckets[i]) {
			struct entry *entry = buckets[i];
			buckets[i] = entry->next;
			unreference_locked(entry);
		}
	}
	(void)pthread_mutex_unlock(&lock);
}
