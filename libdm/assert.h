/* assert.h: dm_assert, for what can be false only through a bug of ours. On in release: going on would break data.
 *
 * Not for operating errors (those are enum dm_status) and not for input. Any thread.
 */
#ifndef DM_ASSERT_H
#define DM_ASSERT_H

/* Prints the condition and where it stands to stderr, and aborts. In status-free code: needs no environment. */
_Noreturn void dm_assert_fail(const char *condition, const char *file, int line);

#define dm_assert(condition)                                                                                           \
    (__builtin_expect(!!(condition), 1) ? (void)0 : dm_assert_fail(#condition, __FILE__, __LINE__))

#endif
