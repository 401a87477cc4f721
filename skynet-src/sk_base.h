/* sk_base.h: the few words that every file of the core shares: error codes and attributes. */
#ifndef SK_BASE_H
#define SK_BASE_H

/* What fallible functions of the core return; 0 is success. */
enum sk_error {
	SK_OK = 0,
	SK_ENOENT = -1,	  /* there is no such thing */
	SK_EEXIST = -2,	  /* the name is taken */
	SK_ELIMIT = -3,	  /* a configured or built-in limit is reached */
	SK_EINVAL = -4,	  /* an argument makes no sense */
	SK_ESYSTEM = -5,  /* the operating system refused; errno says why */
	SK_ESTOPPED = -6, /* the node is stopping */
};

#define SK_MUST_CHECK __attribute__((warn_unused_result))
#define SK_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define SK_LIKELY(x) __builtin_expect(!!(x), 1)
#define SK_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define SK_NEVER_INLINE __attribute__((noinline))

/* Fields that different threads write stand on different lines of this many bytes. */
#define SK_CACHE_LINE 64

/* The struct of the given type whose member is at ptr. */
#define SK_CONTAINER_OF(ptr, type, member) ((type *)(((char *)(ptr)) - offsetof(type, member)))

/* A call that review would always refuse does not compile. */
#define strcpy use_snprintf_instead_of_strcpy
#define strcat use_snprintf_instead_of_strcat
#define strncpy use_snprintf_instead_of_strncpy
#define sprintf use_snprintf_instead_of_sprintf
#define strtok use_strcspn_instead_of_strtok

#endif
