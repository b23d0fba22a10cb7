/* test_memory.c: what memserver/memory.c gets from the system, and what it refuses. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "memory.h"

#define MIB (UINT64_C(1) << 20)

static void open_or_fail(struct memory *memory, uint64_t bytes, int numa_node, bool shared) {
    char error[512] = "";
    if (!memory_open(memory, bytes, numa_node, shared, error, sizeof error))
        fail_msg("%s", error);
}

static void memory_is_zeroed_writable_and_as_large_as_asked(void **state) {
    (void)state;
    static const uint64_t sizes[] = {4096, MIB, 2 * MIB, 5 * MIB + 4096};
    for (int shared = 0; shared < 2; shared++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct memory memory;
            open_or_fail(&memory, sizes[i], -1, shared);
            assert_int_equal(memory.bytes, sizes[i]);
            assert_int_equal((uintptr_t)memory.base % memory.page_bytes, 0);
            assert_int_equal(memory.fd >= 0, shared);
            const uint64_t *words = memory.base;
            for (uint64_t word = 0; word < memory.bytes / 8; word++)
                assert_int_equal(words[word], 0);
            memset(memory.base, 0xff, memory.bytes);
            memory_close(&memory);
            assert_null(memory.base);
            assert_int_equal(memory.fd, -1);
        }
}

static void a_size_is_rounded_up_to_whole_pages(void **state) {
    (void)state;
    struct memory memory;
    open_or_fail(&memory, 4097, -1, true);
    assert_int_equal(memory.bytes, 8192);
    assert_true(memory.note[0] != '\0'); /* such a size cannot be on huge pages, and that is said */
    memory_close(&memory);
}

static void shared_memory_is_the_same_through_its_descriptor_and_cannot_be_shrunk(void **state) {
    (void)state;
    struct memory memory;
    open_or_fail(&memory, MIB, -1, true);
    struct stat file;
    assert_int_equal(fstat(memory.fd, &file), 0);
    assert_int_equal(file.st_size, MIB);
    uint64_t *again = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0);
    assert_true(again != MAP_FAILED);
    again[5] = 55;
    assert_int_equal(((uint64_t *)memory.base)[5], 55);
    assert_int_not_equal(ftruncate(memory.fd, 0), 0);
    assert_int_not_equal(ftruncate(memory.fd, 2 * (off_t)MIB), 0);
    munmap(again, MIB);
    memory_close(&memory);
}

static uint64_t resident_bytes(void) {
    unsigned long long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu %llu", &total, &resident), 2);
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void untouched_memory_costs_nothing(void **state) {
    (void)state;
    const uint64_t before = resident_bytes();
    for (int shared = 0; shared < 2; shared++) {
        struct memory memory;
        open_or_fail(&memory, 512 * MIB, -1, shared);
        assert_true(memory.huge_pages || resident_bytes() < before + 16 * MIB);
        memory_close(&memory);
    }
}

static void falling_back_from_huge_pages_says_how_to_have_them(void **state) {
    (void)state;
    struct memory memory;
    open_or_fail(&memory, 1024 * MIB, -1, true);
    if (memory.huge_pages)
        assert_true(memory.page_bytes > 4096 && memory.note[0] == '\0');
    else
        assert_true(strstr(memory.note, "vm.nr_hugepages=") || strstr(memory.note, "kernel has none") ||
                    strstr(memory.note, "not a multiple"));
    memory_close(&memory);
}

static void expect_refusal(uint64_t bytes, int numa_node, bool shared, const char *words) {
    struct memory memory;
    char error[512] = "";
    assert_false(memory_open(&memory, bytes, numa_node, shared, error, sizeof error));
    if (!strstr(error, words))
        fail_msg("expected '%s' in: %s", words, error);
    assert_null(memory.base);
    assert_int_equal(memory.fd, -1);
}

static void impossible_sizes_are_refused_with_the_cause(void **state) {
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        expect_refusal(UINT64_C(1) << 46, -1, shared, "ask for less");
        expect_refusal(0, -1, shared, "not a possible size");
        expect_refusal(UINT64_MAX, -1, shared, "not a possible size");
        expect_refusal(UINT64_MAX - 4000, -1, shared, "not a possible size");
    }
    expect_refusal(UINT64_C(1) << 46, -1, true, "MemAvailable");
}

static void a_numa_node_that_does_not_exist_is_refused(void **state) {
    (void)state;
    expect_refusal(MIB, 900, true, "NUMA node 900");
    expect_refusal(MIB, 900, false, "NUMA node 900");
    expect_refusal(MIB, 1 << 20, true, "NUMA node 1048576");
}

static void memory_is_bound_to_a_numa_node_where_the_system_has_one(void **state) {
    (void)state;
    struct memory memory;
    char error[512] = "";
    const bool numa = access("/sys/devices/system/node/node0", F_OK) == 0;
    if (memory_open(&memory, MIB, 0, true, error, sizeof error)) {
        memset(memory.base, 1, memory.bytes);
        memory_close(&memory);
    } else { /* a kernel without NUMA, or a container that may not bind: then with the cause */
        assert_true(strstr(error, "numa_node to -1") != NULL);
        assert_true(!numa || strstr(error, "cannot bind") || strstr(error, "no NUMA support"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_writable_and_as_large_as_asked),
        cmocka_unit_test(a_size_is_rounded_up_to_whole_pages),
        cmocka_unit_test(shared_memory_is_the_same_through_its_descriptor_and_cannot_be_shrunk),
        cmocka_unit_test(untouched_memory_costs_nothing),
        cmocka_unit_test(falling_back_from_huge_pages_says_how_to_have_them),
        cmocka_unit_test(impossible_sizes_are_refused_with_the_cause),
        cmocka_unit_test(a_numa_node_that_does_not_exist_is_refused),
        cmocka_unit_test(memory_is_bound_to_a_numa_node_where_the_system_has_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
