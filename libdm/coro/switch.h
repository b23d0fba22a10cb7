/* switch.h: gives the processor from one stack to another. Not a scheduler; called by coro.c only, on any thread.
 *
 * A stopped context is one pointer: its stack pointer. What a function call must preserve lies above it:
 *
 *   x86-64 (SysV)        sp -> r15 r14 r13 r12 rbx rbp return-address
 *   aarch64 (AAPCS64)    sp -> x19..x28 x29 x30 d8..d15
 *
 * Floating-point control (mxcsr, x87 control word, fpcr) is not switched: nobody changes it inside a coroutine.
 */
#ifndef DM_SWITCH_H
#define DM_SWITCH_H

/* Saves the running context, stores its stack pointer in *save_sp, and continues the context load_sp.
 * Returns when somebody switches to *save_sp. */
void dm_switch(void **save_sp, void *load_sp);

/* The stack pointer of a context that will call entry(argument) on the stack that ends at `top`; entry must never
 * return. Backtraces end there. */
void *dm_switch_prepare(void *top, void (*entry)(void *argument), void *argument);

#endif
