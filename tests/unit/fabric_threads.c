/* fabric_threads.c: cases of the fabric's suite in which several threads meet at the same words: atomics add up, words
 * are never torn, and what one sees after another is what fabric.h promises. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fabric_cases.h"

#define THREADS 4u
#define CONTENTION_ROUNDS 20000u
#define TEAR_ROUNDS 100000u
#define LITMUS_ROUNDS 30000u
#define LITMUS_SPOTS 500u /* used in turn, a cache line each */
#define MESSAGE_WORDS 8192u
#define MESSAGE_TAIL_WORDS 64u
#define SWAP_OBJECT_BYTES 16384u

/* Offsets in node 0. */
#define MESSAGE_WORD UINT64_C(131072)
#define MESSAGE_OBJECT UINT64_C(139264)

struct contender {
    pthread_t thread;
    struct dm_endpoint *endpoint;
    uint64_t *buffer;
    uint64_t swaps;
    uint64_t wrong;
    unsigned index;
    const struct fabric_world *world;
};

/* Half of the threads come through the other mapping. */
static void contenders_run(const struct fabric_world *world, struct contender *all, unsigned count,
                           void *(*work)(void *)) {
    for (unsigned i = 0; i < count; i++) {
        all[i] = (struct contender){.index = i, .world = world};
        assert_int_equal(pthread_create(&all[i].thread, NULL, work, &all[i]), 0);
    }
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(pthread_join(all[i].thread, NULL), 0);
}

/* Endpoints belong to the thread that opens them. False: could not, and counted as wrong. */
static bool contender_begin(struct contender *contender) {
    const struct fabric_world *world = contender->world;
    struct dm_fabric *fabric = contender->index % 2 ? world->other : world->fabric;
    contender->wrong = 1;
    if (fabric->ops->endpoint_open(fabric, world->sched, &contender->endpoint) != DM_OK)
        return false;
    contender->buffer = fabric->ops->endpoint_memory(contender->endpoint, 1024);
    if (!contender->buffer) {
        close_endpoint(contender->endpoint);
        contender->endpoint = NULL;
        return false;
    }
    contender->wrong = 0;
    return true;
}

static void *contend(void *argument) {
    struct contender *contender = argument;
    if (!contender_begin(contender))
        return NULL;
    uint64_t guess = 0;
    for (unsigned i = 0; i < CONTENTION_ROUNDS / contender->world->slowness; i++) {
        struct dm_batch batch;
        dm_batch_init(&batch, NULL);
        const struct dm_op *cas = dm_batch_cas(&batch, 0, 6144, guess, guess + 1);
        dm_batch_faa(&batch, 1, 6144, 3);
        dm_fabric_execute(contender->endpoint, &batch);
        contender->wrong += batch.failed;
        const bool swapped = cas->result == guess;
        contender->swaps += swapped;
        guess = swapped ? guess + 1 : cas->result;
    }
    close_endpoint(contender->endpoint);
    return NULL;
}

void atomics_of_many_threads_add_up_exactly(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    uint64_t *buffer = memory_of(endpoint, 64);
    area_clear(endpoint, 0, 6144, 8);
    area_clear(endpoint, 1, 6144, 8);
    struct contender all[THREADS];
    contenders_run(world, all, THREADS, contend);
    uint64_t swaps = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(all[i].wrong, 0);
        assert_true(all[i].swaps > 0);
        swaps += all[i].swaps;
    }
    assert_int_equal(word_read(endpoint, 0, 6144, buffer), swaps);
    assert_int_equal(word_read(endpoint, 1, 6144, buffer),
                     (uint64_t)THREADS * (CONTENTION_ROUNDS / world->slowness) * 3);
    close_endpoint(endpoint);
}

/* Even threads write 16 words, each of one byte repeated; odd ones read and look for a word of two kinds. */
static void *tear(void *argument) {
    struct contender *contender = argument;
    if (!contender_begin(contender))
        return NULL;
    const bool writes = contender->index < THREADS / 2;
    const uint64_t ones = UINT64_C(0x0101010101010101);
    for (unsigned i = 0; i < TEAR_ROUNDS / contender->world->slowness; i++) {
        struct dm_batch batch;
        dm_batch_init(&batch, NULL);
        for (unsigned word = 0; writes && word < 16; word++)
            contender->buffer[word] = ones * ((i + word + contender->index * 101) % 256);
        if (writes)
            dm_batch_write(&batch, 0, 7168, contender->buffer, 128);
        else
            dm_batch_read(&batch, 0, 7168, contender->buffer, 128);
        dm_fabric_execute(contender->endpoint, &batch);
        for (unsigned word = 0; !writes && word < 16; word++)
            contender->wrong += contender->buffer[word] != ones * (contender->buffer[word] & 0xff);
    }
    close_endpoint(contender->endpoint);
    return NULL;
}

void words_are_never_torn(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    area_clear(endpoint, 0, 7168, 128);
    struct contender all[THREADS];
    contenders_run(world, all, THREADS, tear);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(all[i].wrong, 0);
    close_endpoint(endpoint);
}

/* Store buffering: two threads each write one word and read the other's. If a WRITE were not visible when its batch
 * ends (or, on one chain, when the READ behind it is done), both could read the old value. */
static uint32_t litmus_turn[2];
static uint8_t litmus_seen[2][LITMUS_ROUNDS];

static void litmus_meet(unsigned self, uint32_t round) {
    __atomic_store_n(&litmus_turn[self], round + 1, __ATOMIC_SEQ_CST);
    for (unsigned spins = 0; __atomic_load_n(&litmus_turn[1 - self], __ATOMIC_SEQ_CST) < round + 1; spins++)
        if (spins > 2000)
            sched_yield();
    /* Whoever came first sees the other a little later: try all delays. */
    for (volatile uint32_t delay = self ? round % 64 : round / 64 % 64; delay > 0;)
        delay = delay - 1;
}

/* Rounds in which neither saw the other's word. */
static uint32_t litmus_neither(const struct fabric_world *world) {
    uint32_t neither = 0;
    for (uint32_t i = 0; i < LITMUS_ROUNDS / world->slowness; i++)
        neither += !litmus_seen[0][i] && !litmus_seen[1][i];
    return neither;
}

static void *litmus(void *argument) {
    struct contender *contender = argument;
    if (!contender_begin(contender)) {
        __atomic_store_n(&litmus_turn[contender->index], UINT32_MAX, __ATOMIC_SEQ_CST);
        return NULL;
    }
    const uint64_t x = 65536, y = x + 64 * LITMUS_SPOTS;
    const uint64_t own = contender->index ? y : x, others = contender->index ? x : y;
    contender->buffer[0] = 1;
    for (uint32_t i = 0; i < LITMUS_ROUNDS / contender->world->slowness; i++) {
        const uint64_t at = i % LITMUS_SPOTS * UINT64_C(64);
        struct dm_batch batch;
        dm_batch_init(&batch, NULL);
        contender->buffer[0] = i + 1;
        dm_batch_write(&batch, 0, own + at, contender->buffer, 8);
        if (i % 2) { /* two batches; the other case is one chain */
            litmus_meet(contender->index, i);
            dm_fabric_execute(contender->endpoint, &batch);
            dm_batch_init(&batch, NULL);
        } else {
            litmus_meet(contender->index, i);
        }
        dm_batch_read(&batch, 0, others + at, contender->buffer + 8, 8);
        dm_fabric_execute(contender->endpoint, &batch);
        litmus_seen[contender->index][i] = contender->buffer[8] >= i + 1;
        contender->wrong += batch.failed;
    }
    close_endpoint(contender->endpoint);
    return NULL;
}

void a_write_is_visible_before_a_later_read(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    area_clear(endpoint, 0, 65536, 2 * 64 * LITMUS_SPOTS);
    memset(litmus_turn, 0, sizeof litmus_turn);
    struct contender all[2];
    contenders_run(world, all, 2, litmus);
    assert_int_equal(all[0].wrong + all[1].wrong, 0);
    assert_int_equal(litmus_neither(world), 0);
    close_endpoint(endpoint);
}

/* The check of an insert: each writes its object, swaps its own word and reads the other's, in one chain. The object is
 * long, so that there is time for a READ that does not wait for the CAS. */
static void *litmus_swap(void *argument) {
    struct contender *contender = argument;
    if (!contender_begin(contender)) {
        __atomic_store_n(&litmus_turn[contender->index], UINT32_MAX, __ATOMIC_SEQ_CST);
        return NULL;
    }
    const uint64_t x = 65536, y = x + 64 * LITMUS_SPOTS;
    const uint64_t own = contender->index ? y : x, others = contender->index ? x : y;
    struct dm_endpoint *endpoint = contender->endpoint;
    void *object = endpoint->fabric->ops->endpoint_memory(endpoint, SWAP_OBJECT_BYTES);
    if (object == NULL) {
        contender->wrong = 1;
        __atomic_store_n(&litmus_turn[contender->index], UINT32_MAX, __ATOMIC_SEQ_CST);
    }
    for (uint32_t i = 0; object != NULL && i < LITMUS_ROUNDS / contender->world->slowness; i++) {
        const uint64_t at = i % LITMUS_SPOTS * UINT64_C(64), lap = i / LITMUS_SPOTS;
        struct dm_batch batch;
        dm_batch_init(&batch, NULL);
        dm_batch_write(&batch, 0, MESSAGE_OBJECT + contender->index * SWAP_OBJECT_BYTES, object, SWAP_OBJECT_BYTES);
        const struct dm_op *cas = dm_batch_cas(&batch, 0, own + at, lap, lap + 1);
        dm_batch_read(&batch, 0, others + at, contender->buffer, 8);
        litmus_meet(contender->index, i);
        dm_fabric_execute(contender->endpoint, &batch);
        litmus_seen[contender->index][i] = contender->buffer[0] >= lap + 1;
        contender->wrong += batch.failed + (cas->result != lap);
    }
    close_endpoint(contender->endpoint);
    return NULL;
}

void of_two_that_swap_and_read_one_sees_the_other(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    area_clear(endpoint, 0, 65536, 2 * 64 * LITMUS_SPOTS);
    memset(litmus_turn, 0, sizeof litmus_turn);
    struct contender all[2];
    contenders_run(world, all, 2, litmus_swap);
    assert_int_equal(all[0].wrong + all[1].wrong, 0);
    assert_int_equal(litmus_neither(world), 0);
    close_endpoint(endpoint);
}

/* Message passing, as in a round: thread 0 WRITEs an object and swaps a word, in one chain; thread 1 READs the word,
 * then the end of the object. Both lie in the same node. The object is long, so that a CAS that overtakes it is
 * seen. */
static bool message_over;

static void message_write(struct contender *contender, uint64_t *object) {
    const uint64_t last = LITMUS_ROUNDS / contender->world->slowness;
    for (uint64_t i = 1; i <= last; i++) {
        struct dm_batch batch;
        dm_batch_init(&batch, NULL);
        for (unsigned word = 0; word < MESSAGE_WORDS; word++)
            object[word] = i;
        dm_batch_write(&batch, 0, MESSAGE_OBJECT, object, MESSAGE_WORDS * sizeof *object);
        const struct dm_op *cas = dm_batch_cas(&batch, 0, MESSAGE_WORD, i - 1, i);
        dm_fabric_execute(contender->endpoint, &batch);
        contender->wrong += batch.failed + (cas->result != i - 1);
    }
}

static void message_read(struct contender *contender, uint64_t *object) {
    uint64_t seen = 0, before;
    while (!__atomic_load_n(&message_over, __ATOMIC_SEQ_CST)) {
        before = seen;
        seen = word_read(contender->endpoint, 0, MESSAGE_WORD, contender->buffer);
        if (seen == before)
            continue;
        struct dm_batch batch;
        dm_batch_init(&batch, NULL);
        const uint64_t tail = MESSAGE_OBJECT + (MESSAGE_WORDS - MESSAGE_TAIL_WORDS) * sizeof *object;
        dm_batch_read(&batch, 0, tail, object, MESSAGE_TAIL_WORDS * sizeof *object);
        dm_fabric_execute(contender->endpoint, &batch);
        contender->wrong += batch.failed;
        contender->swaps++; /* messages seen */
        for (unsigned word = 0; word < MESSAGE_TAIL_WORDS; word++)
            contender->wrong += object[word] < seen;
    }
}

static void *message_pass(void *argument) {
    struct contender *contender = argument;
    uint64_t *object = NULL;
    if (contender_begin(contender)) {
        struct dm_endpoint *endpoint = contender->endpoint;
        object = endpoint->fabric->ops->endpoint_memory(endpoint, MESSAGE_WORDS * sizeof *object);
        contender->wrong = object == NULL;
    }
    litmus_meet(contender->index, 0);
    if (object != NULL && contender->index == 0)
        message_write(contender, object);
    if (object != NULL && contender->index == 1)
        message_read(contender, object);
    if (contender->index == 0)
        __atomic_store_n(&message_over, true, __ATOMIC_SEQ_CST);
    if (contender->endpoint != NULL)
        close_endpoint(contender->endpoint);
    return NULL;
}

void who_sees_a_cas_sees_the_write_before_it(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    area_clear(endpoint, 0, MESSAGE_WORD, 8);
    area_clear(endpoint, 0, MESSAGE_OBJECT, MESSAGE_WORDS * 8);
    memset(litmus_turn, 0, sizeof litmus_turn);
    message_over = false;
    struct contender all[2];
    contenders_run(world, all, 2, message_pass);
    assert_int_equal(all[0].wrong, 0);
    assert_int_equal(all[1].wrong, 0);
    assert_true(all[1].swaps > 0);
    close_endpoint(endpoint);
}
