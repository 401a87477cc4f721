/* sk_tsan.c: lets ThreadSanitizer follow the jumps of Lua's errors and yields. Empty in other
 * builds.
 *
 * Distributions build the Lua library with checks that make it jump by __longjmp_chk, which the
 * sanitizer does not intercept, so it loses count of the call stack, and dies after some ten
 * thousand jumps on a thread. The library finds this function before libc's, and longjmp is
 * intercepted. */
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define HAS_THREAD_SANITIZER
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define HAS_THREAD_SANITIZER
#endif

#ifdef HAS_THREAD_SANITIZER
#undef _FORTIFY_SOURCE /* it would turn longjmp below into this very function */
#include <setjmp.h>

__attribute__((visibility("default"), noreturn)) void __longjmp_chk(jmp_buf place, int value);

void
__longjmp_chk(jmp_buf place, int value)
{
	longjmp(place, value);
}
#endif
