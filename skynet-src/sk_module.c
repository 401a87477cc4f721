/* sk_module.c: finds, loads and keeps C modules.
 *
 * I1  A module stands in the table once, complete before it is linked, and stays where it is until
 *     sk_modules_free: pointers to it may be kept by every service.
 * I2  The shared object behind it is never unloaded, not even by sk_modules_free: another node of
 *     this process may run its code, and threads may hold destructors that lie in it.
 *
 * Threads  the table is under the lock, which is held while a module is loaded, so that two
 *          launches of a new module load it once. */
#include "sk_module.h"

#include "skynet.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Longer than any name that a file system takes, so nothing is lost. */
#define NAME_SIZE_MAX 256
/* The longest of _create, _init, _release, _signal, with its NUL. */
#define SUFFIX_SIZE_MAX 16

struct sk_modules {
	/* Constant after new. */
	char *path;
	pthread_mutex_t lock;
	/* Under lock. */
	struct sk_module **items;
	size_t count;
	size_t cap_slots;
};

/* One template of the path: [text, text + length). */
struct path_template {
	const char *text;
	size_t length;
};

/* Steps to the next template that is not empty. at: where to go on. */
static bool
next_template(const char **at, struct path_template *found)
{
	while (**at != '\0') {
		size_t length = strcspn(*at, ";");
		found->text = *at;
		found->length = length;
		*at += length + ((*at)[length] == ';');
		if (length > 0)
			return true;
	}
	return false;
}

static int
check_path(const char *path, char *error, size_t error_size)
{
	struct path_template item;
	bool has_any = false;
	for (const char *at = path; next_template(&at, &item); has_any = true) {
		if (memchr(item.text, '?', item.length) != NULL)
			continue;
		(void)snprintf(
			error, error_size,
			"the template '%.*s' has no '?', which stands for the name of the module",
			(int)item.length, item.text);
		return SK_EINVAL;
	}
	if (has_any)
		return SK_OK;
	(void)snprintf(error, error_size,
		       "there is no template in '%s'; write one as ./cservice/?.so", path);
	return SK_EINVAL;
}

struct sk_modules *
sk_modules_new(const char *path, char *error, size_t error_size)
{
	if (check_path(path, error, error_size) != SK_OK)
		return NULL;
	struct sk_modules *modules = skynet_calloc(1, sizeof(*modules));
	modules->path = skynet_strdup(path);
	(void)pthread_mutex_init(&modules->lock, NULL); /* cannot fail without attributes */
	return modules;
}

void
sk_modules_free(struct sk_modules *modules)
{
	if (modules == NULL)
		return;
	for (size_t i = 0; i < modules->count; i++)
		skynet_free(modules->items[i]); /* I2: without dlclose; the name is in the block */
	skynet_free(modules->items);
	skynet_free(modules->path);
	(void)pthread_mutex_destroy(&modules->lock);
	skynet_free(modules);
}

/* Puts the name in place of every '?'. A file without a folder is one in the working directory:
 * dlopen would look for it among the system's libraries. Gives a block for skynet_free. */
static char *
expand(const struct path_template *item, const char *name)
{
	static const char here[] = "./";
	size_t name_length = strlen(name);
	size_t size = sizeof(here) + item->length;
	for (size_t i = 0; i < item->length; i++)
		size += item->text[i] == '?' ? name_length : 0;
	char *file = skynet_malloc(size);
	char *at = file;
	if (memchr(item->text, '/', item->length) == NULL) {
		memcpy(at, here, sizeof(here));
		at += sizeof(here) - 1;
	}
	for (size_t i = 0; i < item->length; i++) {
		if (item->text[i] == '?') {
			memcpy(at, name, name_length);
			at += name_length;
		} else {
			*at++ = item->text[i];
		}
	}
	*at = '\0';
	return file;
}

/* Tries the templates in their order. Returns the first shared object that loads, with its file,
 * which is for skynet_free; or NULL, with what was wrong with each of the files in error. */
static void *
open_object(const char *path, const char *name, char **file, char *error, size_t error_size)
{
	struct path_template item;
	int length = snprintf(error, error_size, "module '%s' cannot be loaded (see the key cpath)",
			      name);
	for (const char *at = path; next_template(&at, &item);) {
		*file = expand(&item, name);
		void *object = dlopen(*file, RTLD_NOW | RTLD_GLOBAL);
		if (object != NULL)
			return object;
		skynet_free(*file);
		const char *reason = dlerror(); /* it begins with the file */
		if (length >= 0 && (size_t)length < error_size)
			length += snprintf(error + length, error_size - (size_t)length, "; %s",
					   reason);
	}
	*file = NULL;
	return NULL;
}

/* The function PREFIX_SUFFIX of a shared object, or NULL. */
static void *
symbol(void *object, const char *prefix, const char *suffix)
{
	char name[NAME_SIZE_MAX + SUFFIX_SIZE_MAX];
	(void)snprintf(name, sizeof(name), "%s_%s", prefix, suffix);
	return dlsym(object, name);
}

/* Loads a module. Returns NULL, with one line in error. */
static struct sk_module *
load(const char *path, const char *name, char *error, size_t error_size)
{
	char *file;
	void *object = open_object(path, name, &file, error, error_size);
	if (object == NULL)
		return NULL;
	/* The file of a module may be deep in a tree of dots; its symbols bear the last part. */
	const char *dot = strrchr(name, '.');
	const char *prefix = dot != NULL ? dot + 1 : name;
	struct sk_module *module = NULL;
	void *init = symbol(object, prefix, "init");
	if (init == NULL) {
		(void)snprintf(error, error_size,
			       "module '%s': %s has no function %s_init, so it is no service", name,
			       file, prefix);
		(void)dlclose(object); /* nothing else knows it; what it cannot undo does no harm */
		goto free_file;
	}
	size_t name_size = strlen(name) + 1;
	module = skynet_malloc(sizeof(*module) + name_size);
	module->name = memcpy(module + 1, name, name_size);
	module->create = (void *(*)(void))symbol(object, prefix, "create");
	module->init = (int (*)(void *, struct skynet_context *, const char *))init;
	module->release = (void (*)(void *))symbol(object, prefix, "release");
	module->signal = (void (*)(void *, int))symbol(object, prefix, "signal");
free_file:
	skynet_free(file);
	return module;
}

static struct sk_module *
find_locked(const struct sk_modules *modules, const char *name)
{
	for (size_t i = 0; i < modules->count; i++) {
		if (strcmp(modules->items[i]->name, name) == 0)
			return modules->items[i];
	}
	return NULL;
}

static void
add_locked(struct sk_modules *modules, struct sk_module *module)
{
	if (modules->count == modules->cap_slots) {
		modules->cap_slots = modules->cap_slots > 0 ? modules->cap_slots * 2 : 8;
		modules->items = skynet_realloc(modules->items,
						modules->cap_slots * sizeof(struct sk_module *));
	}
	modules->items[modules->count++] = module;
}

static struct sk_module *
find_or_load_locked(struct sk_modules *modules, const char *name, char *error, size_t error_size)
{
	struct sk_module *module = find_locked(modules, name);
	if (module != NULL)
		return module;
	if (modules->count == SK_MODULES_MAX) {
		(void)snprintf(
			error, error_size,
			"module '%s' cannot be loaded: %d modules are, and that is the limit", name,
			SK_MODULES_MAX);
		return NULL;
	}
	module = load(modules->path, name, error, error_size);
	if (module != NULL)
		add_locked(modules, module); /* I1 */
	return module;
}

const struct sk_module *
sk_modules_find(struct sk_modules *modules, const char *name, char *error, size_t error_size)
{
	size_t length = strlen(name);
	if (length == 0 || length >= NAME_SIZE_MAX) {
		(void)snprintf(error, error_size,
			       "a module's name has 1 to %d characters, and '%.32s%s' has %zu",
			       NAME_SIZE_MAX - 1, name, length > 32 ? "..." : "", length);
		return NULL;
	}
	(void)pthread_mutex_lock(&modules->lock);
	const struct sk_module *module = find_or_load_locked(modules, name, error, error_size);
	(void)pthread_mutex_unlock(&modules->lock);
	return module;
}
