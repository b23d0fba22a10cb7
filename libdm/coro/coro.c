/* coro.c: stackful coroutines and their scheduler (contracts in dm.h and coro.h). Not the context switch (switch.h)
 * and not the clock (struct dm_env). One scheduler belongs to one thread; called by sessions, providers and gateway.
 *
 * Stacks lie in slabs of address space and are made usable one by one, on first use, then kept and reused last in,
 * first out, so that a warm start of a coroutine costs neither a system call nor an allocation:
 *
 *   slab   | guard | stack 0 | guard | stack 1 | ...             guard: one page without access rights
 *   stack  | <- grows down ...            | struct dm_coro | colour |
 *
 * Stacks are a multiple of a page apart, so their tops would all fall into the same few sets of the first-level
 * cache; the colour, 0..15 times 256 bytes, spreads them.
 *
 *   state   FREE --spawn--> RUNNING --park--> PARKED --wake--> READY --run--> RUNNING --return--> FREE
 *                           RUNNING --sleep-> SLEEPING --due-> READY
 */
#include "coro/coro.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "assert.h"
#include "coro/fiber.h"
#include "coro/switch.h"
#include "coro/timer.h"

#define STACK_BYTES_DEFAULT (64u * 1024u)
#define STACK_BYTES_MIN (8u * 1024u)
#define STACK_BYTES_MAX (64u * 1024u * 1024u)
#define COROUTINES_DEFAULT 16384u
#define COROUTINES_MAX (1024u * 1024u)
#define SLAB_STACKS 32u
#define COLOURS 16u
#define COLOUR_BYTES 256u

enum coro_state { CORO_FREE, CORO_RUNNING, CORO_PARKED, CORO_READY, CORO_SLEEPING };

struct dm_coro {
    void *sp; /* while not running, or while waiting for a coroutine that it has spawned */
    struct dm_sched *sched;
    struct dm_coro *next;    /* in the ready queue or the free list */
    struct dm_coro *resumer; /* who goes on when this one stops; NULL: the caller of the scheduler */
    void (*fn)(void *argument);
    void *argument;
    enum coro_state state;
    struct fiber fiber;
};

struct dm_sched {
    const struct dm_env *env;
    struct dm_coro *running; /* NULL: outside of any */
    void *outside_sp;
    struct fiber outside;
    struct dm_coro *ready_head, *ready_tail;
    uint32_t ready_count;
    uint32_t alive, limit;
    struct dm_coro *free; /* stacks for reuse, the warmest first */
    struct timer_heap timers;
    char **slabs;
    uint32_t made;      /* stacks made usable so far, all slabs but the last are full */
    size_t pitch_bytes; /* from one stack to the next, guard included */
    size_t guard_bytes;
    bool short_of_stacks; /* said so in the log */
};

/* ---- Stacks ----------------------------------------------------------------------------------------------------- */

static void coro_main(void *argument);

/* The guard below stack `index`, which ends where the next one's guard begins. */
static char *stack_guard(const struct dm_sched *sched, uint32_t index) {
    return sched->slabs[index / SLAB_STACKS] + (size_t)(index % SLAB_STACKS) * sched->pitch_bytes;
}

static struct dm_coro *stack_coro(const struct dm_sched *sched, uint32_t index) {
    char *end = stack_guard(sched, index) + sched->pitch_bytes - (size_t)(index % COLOURS) * COLOUR_BYTES;

    return (struct dm_coro *)(((uintptr_t)end - sizeof(struct dm_coro)) & ~(uintptr_t)63);
}

/* Makes one more stack usable; NULL when the system has no more memory or mappings. */
static struct dm_coro *stack_make(struct dm_sched *sched) {
    uint32_t index = sched->made;
    char **slab = &sched->slabs[index / SLAB_STACKS];

    if (*slab == NULL) {
        void *mapped = mmap(NULL, SLAB_STACKS * sched->pitch_bytes, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (mapped == MAP_FAILED) {
            return NULL;
        }
        *slab = mapped;
    }
    char *bottom = stack_guard(sched, index) + sched->guard_bytes;
    if (mprotect(bottom, sched->pitch_bytes - sched->guard_bytes, PROT_READ | PROT_WRITE) != 0) {
        return NULL;
    }
    struct dm_coro *coro = stack_coro(sched, index);
    coro->sched = sched;
    coro->state = CORO_FREE;
    coro->sp = dm_switch_prepare(coro, coro_main, coro);
    fiber_create(&coro->fiber, bottom, (size_t)((char *)coro - bottom));
    sched->made++;
    return coro;
}

static struct dm_coro *stack_take(struct dm_sched *sched) {
    struct dm_coro *coro = sched->free;

    if (sched->alive == sched->limit) {
        return NULL;
    }
    if (coro != NULL) {
        sched->free = coro->next;
        return coro;
    }
    coro = stack_make(sched);
    if (coro == NULL && !sched->short_of_stacks) {
        char message[160];
        snprintf(message, sizeof message,
                 "no memory for the stack of coroutine %u (limit %u); is vm.max_map_count too low?", sched->made + 1,
                 sched->limit);
        sched->env->log(sched->env->context, DM_LOG_WARNING, message);
        sched->short_of_stacks = true;
    }
    return coro;
}

/* ---- Switching -------------------------------------------------------------------------------------------------- */

/* Runs coro until it stops. */
static void coro_resume(struct dm_sched *sched, struct dm_coro *coro) {
    struct dm_coro *self = sched->running;
    struct fiber *fiber = self != NULL ? &self->fiber : &sched->outside;

    coro->resumer = self;
    coro->state = CORO_RUNNING;
    sched->running = coro;
    fiber_leave(fiber, &coro->fiber, false);
    dm_switch(self != NULL ? &self->sp : &sched->outside_sp, coro->sp);
    fiber_arrive(fiber, &coro->fiber);
}

static struct fiber *coro_resumer_fiber(struct dm_coro *self) {
    return self->resumer != NULL ? &self->resumer->fiber : &self->sched->outside;
}

/* Back to whoever resumed the running coroutine; returns when it is resumed again. */
static void coro_stop(struct dm_coro *self, enum coro_state state) {
    struct dm_sched *sched = self->sched;
    struct dm_coro *resumer = self->resumer;

    self->state = state;
    sched->running = resumer;
    fiber_leave(&self->fiber, coro_resumer_fiber(self), state == CORO_FREE);
    dm_switch(&self->sp, resumer != NULL ? resumer->sp : sched->outside_sp);
    fiber_arrive(&self->fiber, coro_resumer_fiber(self));
}

/* Bottom of every stack: one turn per coroutine that uses it. */
static void coro_main(void *argument) {
    struct dm_coro *self = argument;

    fiber_arrive(&self->fiber, coro_resumer_fiber(self));
    for (;;) {
        self->fn(self->argument);
        self->next = self->sched->free;
        self->sched->free = self;
        self->sched->alive--;
        coro_stop(self, CORO_FREE);
    }
}

static void coro_make_ready(struct dm_sched *sched, struct dm_coro *coro) {
    coro->state = CORO_READY;
    coro->next = NULL;
    if (sched->ready_head == NULL) {
        sched->ready_head = coro;
    } else {
        sched->ready_tail->next = coro;
    }
    sched->ready_tail = coro;
    sched->ready_count++;
}

/* ---- coro.h ----------------------------------------------------------------------------------------------------- */

struct dm_coro *dm_coro_self(const struct dm_sched *sched) {
    return sched->running;
}

void dm_coro_park(struct dm_sched *sched) {
    dm_assert(sched->running != NULL);
    coro_stop(sched->running, CORO_PARKED);
}

void dm_coro_wake(struct dm_coro *coro) {
    dm_assert(coro->state == CORO_PARKED);
    coro_make_ready(coro->sched, coro);
}

/* ---- dm.h ------------------------------------------------------------------------------------------------------- */

static size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

enum dm_status dm_sched_create(const struct dm_env *env, const struct dm_sched_config *config, struct dm_sched **out) {
    size_t stack_bytes = config != NULL && config->stack_bytes > 0 ? config->stack_bytes : STACK_BYTES_DEFAULT;
    uint32_t limit = config != NULL && config->coroutines > 0 ? config->coroutines : COROUTINES_DEFAULT;

    if (stack_bytes < STACK_BYTES_MIN || stack_bytes > STACK_BYTES_MAX || limit > COROUTINES_MAX) {
        return DM_INVALID;
    }
    struct dm_sched *sched = env->allocate(env->context, sizeof *sched);
    if (sched == NULL) {
        return DM_NO_MEMORY;
    }
    sched->env = env;
    sched->limit = limit;
    sched->guard_bytes = (size_t)sysconf(_SC_PAGESIZE);
    sched->pitch_bytes = sched->guard_bytes + round_up(stack_bytes * FIBER_STACK_FACTOR + sizeof(struct dm_coro) + 64 +
                                                           COLOURS * COLOUR_BYTES,
                                                       sched->guard_bytes);
    sched->timers.capacity = limit;
    sched->timers.timers = env->allocate(env->context, limit * sizeof *sched->timers.timers);
    sched->slabs = env->allocate(env->context, (limit + SLAB_STACKS - 1) / SLAB_STACKS * sizeof *sched->slabs);
    if (sched->timers.timers == NULL || sched->slabs == NULL) {
        dm_sched_destroy(sched);
        return DM_NO_MEMORY;
    }
    *out = sched;
    return DM_OK;
}

void dm_sched_destroy(struct dm_sched *sched) {
    const struct dm_env *env = sched->env;

    dm_assert(sched->alive == 0 && sched->running == NULL);
    for (uint32_t index = 0; index < sched->made; index++) {
        fiber_destroy(&stack_coro(sched, index)->fiber);
    }
    for (uint32_t slab = 0; sched->slabs != NULL && slab < (sched->limit + SLAB_STACKS - 1) / SLAB_STACKS; slab++) {
        if (sched->slabs[slab] != NULL) {
            munmap(sched->slabs[slab], SLAB_STACKS * sched->pitch_bytes);
        }
    }
    env->release(env->context, sched->slabs);
    env->release(env->context, sched->timers.timers);
    env->release(env->context, sched);
}

enum dm_status dm_sched_spawn(struct dm_sched *sched, void (*fn)(void *argument), void *argument) {
    struct dm_coro *coro = stack_take(sched);

    if (coro == NULL) {
        return DM_BUSY;
    }
    sched->alive++;
    coro->fn = fn;
    coro->argument = argument;
    coro_resume(sched, coro);
    return DM_OK;
}

size_t dm_sched_run(struct dm_sched *sched) {
    dm_assert(sched->running == NULL);
    if (sched->timers.count > 0) {
        uint64_t now_ns = sched->env->clock_ns(sched->env->context);
        while (sched->timers.count > 0 && sched->timers.timers[0].due_ns <= now_ns) {
            coro_make_ready(sched, timer_heap_pop(&sched->timers));
        }
    }
    uint32_t count = sched->ready_count;
    for (uint32_t resumed = 0; resumed < count; resumed++) {
        struct dm_coro *coro = sched->ready_head;
        dm_assert(coro->state == CORO_READY);
        sched->ready_head = coro->next;
        sched->ready_count--;
        coro_resume(sched, coro);
    }
    return count;
}

uint64_t dm_sched_next_ns(const struct dm_sched *sched) {
    if (sched->ready_count > 0) {
        return 0;
    }
    if (sched->timers.count == 0) {
        return UINT64_MAX;
    }
    uint64_t due_ns = sched->timers.timers[0].due_ns;
    uint64_t now_ns = sched->env->clock_ns(sched->env->context);
    return due_ns > now_ns ? due_ns - now_ns : 0;
}

uint32_t dm_sched_alive(const struct dm_sched *sched) { return sched->alive; }

void dm_coro_sleep(struct dm_sched *sched, uint64_t delay_ns) {
    struct dm_coro *self = sched->running;

    dm_assert(self != NULL);
    if (delay_ns == 0) {
        coro_make_ready(sched, self);
        coro_stop(self, CORO_READY);
        return;
    }
    uint64_t now_ns = sched->env->clock_ns(sched->env->context);
    timer_heap_push(&sched->timers, delay_ns < UINT64_MAX - now_ns ? now_ns + delay_ns : UINT64_MAX, self);
    coro_stop(self, CORO_SLEEPING);
}
