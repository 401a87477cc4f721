/* sk_module.h: C modules: the shared objects that services get their code from.
 *
 * Model      A module is loaded once per process and never unloaded, so its functions may be kept.
 * Threads    [any]; one lock inside, held while a module is loaded.
 */
#ifndef SK_MODULE_H
#define SK_MODULE_H

#include "sk_base.h"

#include <stddef.h>

struct skynet_context;
struct sk_modules;

#define SK_MODULES_MAX 1024

struct sk_module {
	const char *name;
	void *(*create)(void);					    /* NULL: none */
	int (*init)(void *, struct skynet_context *, const char *); /* never NULL */
	void (*release)(void *);				    /* NULL: none */
	void (*signal)(void *, int);				    /* NULL: none */
};

/* path: templates separated by ';', '?' stands for the name. Returns NULL, with the reason in
 * error, when a template has no '?'. */
struct sk_modules *sk_modules_new(const char *path, char *error, size_t error_size);
void sk_modules_free(struct sk_modules *modules);

/* Finds the module, loading it when needed. Returns NULL, with one line in error that names the
 * files tried, when it is not found or has no NAME_init. The result lives as long as modules. */
const struct sk_module *sk_modules_find(struct sk_modules *modules, const char *name, char *error,
					size_t error_size);

#endif
