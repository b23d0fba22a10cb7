/* switch.c: the first frame of a new context, as switch_<architecture>.S takes it off. Pure; any thread. */
#include "coro/switch.h"

#include <stdint.h>
#include <string.h>

/* In switch_<architecture>.S: calls the entry that dm_switch_prepare left in a callee-saved register. */
void dm_switch_start(void);

#if defined(__x86_64__)
enum { FRAME_WORDS = 7, FRAME_ENTRY = 2, FRAME_ARGUMENT = 3, FRAME_RETURN = 6 }; /* r13, r12 */
#elif defined(__aarch64__)
enum { FRAME_WORDS = 20, FRAME_ENTRY = 1, FRAME_ARGUMENT = 0, FRAME_RETURN = 11 }; /* x20, x19, x30 */
#else
#error "coroutines need a context switch for this processor (see coro/switch.h)"
#endif

void *dm_switch_prepare(void *top, void (*entry)(void *argument), void *argument) {
    /* With the frame taken off, sp is a multiple of 16 again, as both ABIs ask for at a call. */
    uintptr_t *frame = (uintptr_t *)((uintptr_t)top & ~(uintptr_t)15) - FRAME_WORDS;

    memset(frame, 0, FRAME_WORDS * sizeof *frame);
    frame[FRAME_ENTRY] = (uintptr_t)entry;
    frame[FRAME_ARGUMENT] = (uintptr_t)argument;
    frame[FRAME_RETURN] = (uintptr_t)dm_switch_start;
    return frame;
}
