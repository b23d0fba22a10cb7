/* test_verbs.c: the pure parts of the `verbs` provider, which need no device: proofs and counters of the handshake,
 * addresses, which work requests a chain becomes and when it may be posted, limits of the configuration, the secret's
 * file, and that a machine without a device says so. What needs a device is tests/rdma. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fabric/verbs_mark.h"
#include "fabric/verbs_request.h"
#include "rdma_setting.h"

#define SECRET "a secret of two dozen bytes"

/* ---- Handshake -------------------------------------------------------------------------------------------------- */

static struct verbs_handshake handshake_make(void) {
    struct verbs_handshake handshake = {
        .request = {.head = verbs_head_make(VERBS_CONTROL), .pool = 5, .identity = 6}, .session = 7, .incarnation = 8};
    memset(handshake.request.nonce, 1, sizeof handshake.request.nonce);
    memset(handshake.nonce, 2, sizeof handshake.nonce);
    return handshake;
}

static void each_side_proves_something_else_and_all_of_the_handshake(void **state) {
    (void)state;
    struct verbs_handshake handshake = handshake_make();
    uint8_t node[VERBS_PROOF_BYTES], again[VERBS_PROOF_BYTES], gateway[VERBS_PROOF_BYTES], key[VERBS_PROOF_BYTES];
    verbs_proof_make(&handshake, VERBS_PROVER_NODE, SECRET, sizeof SECRET, node);
    verbs_proof_make(&handshake, VERBS_PROVER_NODE, SECRET, sizeof SECRET, again);
    verbs_proof_make(&handshake, VERBS_PROVER_GATEWAY, SECRET, sizeof SECRET, gateway);
    verbs_proof_make(&handshake, VERBS_PROVER_SESSION_KEY, SECRET, sizeof SECRET, key);
    assert_true(verbs_proof_equal(node, again, sizeof node));
    assert_false(verbs_proof_equal(node, gateway, sizeof node)); /* else a node could be answered with its own proof */
    assert_false(verbs_proof_equal(node, key, sizeof node));
    assert_false(verbs_proof_equal(gateway, key, sizeof node));
    verbs_proof_make(&handshake, VERBS_PROVER_NODE, SECRET, sizeof SECRET - 2, again);
    assert_false(verbs_proof_equal(node, again, sizeof node));
    for (size_t byte = 0; byte < sizeof handshake; byte++) {
        ((uint8_t *)&handshake)[byte] ^= 1;
        verbs_proof_make(&handshake, VERBS_PROVER_NODE, SECRET, sizeof SECRET, again);
        assert_false(verbs_proof_equal(node, again, sizeof node));
        ((uint8_t *)&handshake)[byte] ^= 1;
    }
}

static void a_link_is_proved_with_session_counter_and_number(void **state) {
    (void)state;
    uint8_t key[VERBS_PROOF_BYTES] = {3}, proof[VERBS_LINK_PROOF_BYTES], again[VERBS_LINK_PROOF_BYTES];
    struct verbs_data_request request = {.head = verbs_head_make(VERBS_DATA), .session = 9, .counter = 1, .link = 4};
    verbs_link_proof_make(&request, key, proof);
    for (size_t byte = 0; byte < offsetof(struct verbs_data_request, proof); byte++) {
        ((uint8_t *)&request)[byte] ^= 1;
        verbs_link_proof_make(&request, key, again);
        assert_false(verbs_proof_equal(proof, again, sizeof proof));
        ((uint8_t *)&request)[byte] ^= 1;
    }
    key[31] ^= 1;
    verbs_link_proof_make(&request, key, again);
    assert_false(verbs_proof_equal(proof, again, sizeof proof));
}

static void a_counter_is_taken_once_and_not_from_far_behind(void **state) {
    (void)state;
    struct verbs_window window = {0};
    assert_false(verbs_window_take(&window, 0));
    assert_true(verbs_window_take(&window, 2));
    assert_true(verbs_window_take(&window, 1)); /* two threads' requests may change places */
    assert_false(verbs_window_take(&window, 1));
    assert_false(verbs_window_take(&window, 2));
    assert_true(verbs_window_take(&window, 66));
    assert_false(verbs_window_take(&window, 2));
    assert_true(verbs_window_take(&window, 3));
    assert_false(verbs_window_take(&window, 3));
    assert_true(verbs_window_take(&window, UINT64_C(1) << 40));
    assert_false(verbs_window_take(&window, 66));
    assert_false(verbs_window_take(&window, UINT64_C(1) << 40));
}

static void a_head_of_another_version_or_too_short_is_not_taken(void **state) {
    (void)state;
    struct verbs_reject reject = {.head = verbs_head_make(VERBS_REJECTED)};
    assert_true(verbs_head_check(&reject, sizeof reject, sizeof reject));
    assert_false(verbs_head_check(&reject, sizeof reject - 1, sizeof reject));
    assert_false(verbs_head_check(NULL, sizeof reject, sizeof reject));
    reject.head.version++;
    assert_false(verbs_head_check(&reject, sizeof reject, sizeof reject));
}

static void addresses_have_host_and_port(void **state) {
    (void)state;
    static const char *const wrong[] = {"",
                                        "rdma://",
                                        "10.0.0.1:7471",
                                        "rdma://10.0.0.1",
                                        "rdma://10.0.0.1:",
                                        "rdma://:7471",
                                        "rdma://10.0.0.1:65536",
                                        "rdma://10.0.0.1:x",
                                        "rdma://[::1]7471",
                                        "rdma://[::1:7471",
                                        "/tmp/socket"};
    struct sockaddr_storage at;
    char error[512];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        error[0] = '\0';
        assert_false(verbs_address_parse(wrong[i], &at, error, sizeof error));
        assert_true(error[0] != '\0');
    }
    assert_true(verbs_address_parse("rdma://127.0.0.1:7471", &at, error, sizeof error));
    assert_int_equal(at.ss_family, AF_INET);
    assert_true(verbs_address_parse("rdma://[::1]:1", &at, error, sizeof error));
    assert_int_equal(at.ss_family, AF_INET6);
}

/* ---- Chains ----------------------------------------------------------------------------------------------------- */

static struct dm_batch batch;
static uint8_t local[4096];

static void a_chain_is_what_a_batch_has_for_its_node(void **state) {
    (void)state;
    struct verbs_chain chain = {.flying = true, .failed_from = 3};
    dm_batch_init(&batch, NULL);
    dm_batch_read(&batch, 1, 0, local, 64);
    dm_batch_write(&batch, 0, 64, local, 64);
    dm_batch_cas(&batch, 0, 8, 1, 2);
    dm_batch_read(&batch, 0, 4096, local, 0); /* of no bytes: nothing to post */
    dm_batch_faa(&batch, 1, 16, 1);
    verbs_chain_measure(&batch, 0, 4096, 1 << 20, &chain);
    assert_int_equal(chain.first, 1);
    assert_int_equal(chain.count, 2);
    assert_int_equal(chain.reads, 1);
    assert_int_equal(chain.end, DM_BATCH_OPS);
    assert_int_equal(chain.failed_from, DM_BATCH_OPS);
    assert_false(chain.flying);
    verbs_chain_measure(&batch, 1, 4096, 1 << 20, &chain);
    assert_int_equal(chain.first, 0);
    assert_int_equal(chain.count, 2);
    assert_int_equal(chain.reads, 2);
}

static void a_chain_ends_before_what_cannot_be_posted(void **state) {
    (void)state;
    static const struct dm_op impossible[] = {
        {.kind = DM_OP_READ, .remote = 4096, .length = 1}, {.kind = DM_OP_WRITE, .remote = UINT64_MAX, .length = 8},
        {.kind = DM_OP_READ, .remote = 0, .length = 2049}, {.kind = DM_OP_CAS, .remote = 4, .length = 8},
        {.kind = DM_OP_FAA, .remote = 4096, .length = 8},  {.kind = DM_OP_CAS, .remote = 8, .length = 16},
        {.kind = DM_OP_FAA + 1, .remote = 8, .length = 8}};
    for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; i++) {
        struct verbs_chain chain;
        dm_batch_init(&batch, NULL);
        dm_batch_write(&batch, 2, 0, local, 8);
        dm_batch_write(&batch, 2, 0, local, 8);
        batch.ops[batch.count++] = impossible[i];
        batch.ops[2].node = 2;
        dm_batch_write(&batch, 2, 0, local, 8);
        verbs_chain_measure(&batch, 2, 4096, 2048, &chain);
        assert_int_equal(chain.first, 0);
        assert_int_equal(chain.end, 2);
        assert_int_equal(chain.count, 2);
    }
}

static void requests_say_what_the_operations_say(void **state) {
    (void)state;
    const struct verbs_target target = {.base = 1 << 20, .rkey = 77, .inline_bytes = 64};
    struct ibv_send_wr request;
    struct ibv_sge part;
    dm_batch_init(&batch, NULL);
    verbs_request_build(&request, dm_batch_write(&batch, 0, 24, local, 64), &part, &target);
    assert_int_equal(request.opcode, IBV_WR_RDMA_WRITE);
    assert_int_equal(request.send_flags, IBV_SEND_INLINE);
    assert_int_equal(request.wr.rdma.remote_addr, (1 << 20) + 24);
    assert_int_equal(request.wr.rdma.rkey, 77);
    verbs_request_build(&request, dm_batch_write(&batch, 0, 24, local, 65), &part, &target);
    assert_int_equal(request.send_flags, 0);
    struct dm_op *fenced = dm_batch_write(&batch, 0, 24, local, 65);
    fenced->flags = DM_OP_FENCE;
    verbs_request_build(&request, fenced, &part, &target);
    assert_int_equal(request.send_flags, IBV_SEND_FENCE);
    verbs_request_build(&request, dm_batch_read(&batch, 0, 0, local, 8), &part, &target);
    assert_int_equal(request.opcode, IBV_WR_RDMA_READ);
    assert_int_equal(request.send_flags, 0); /* READs are not inline, and never need a fence by themselves */
    verbs_request_build(&request, dm_batch_cas(&batch, 0, 8, 5, 6), &part, &target);
    assert_int_equal(request.opcode, IBV_WR_ATOMIC_CMP_AND_SWP);
    assert_int_equal(request.wr.atomic.compare_add, 5);
    assert_int_equal(request.wr.atomic.swap, 6);
    assert_int_equal(request.wr.atomic.remote_addr, (1 << 20) + 8);
    verbs_request_build(&request, dm_batch_faa(&batch, 0, 8, 9), &part, &target);
    assert_int_equal(request.opcode, IBV_WR_ATOMIC_FETCH_AND_ADD);
    assert_int_equal(request.wr.atomic.compare_add, 9);
    const uint64_t id = verbs_request_id(UINT32_MAX, 1023, 63);
    assert_int_equal(verbs_request_generation(id), UINT32_MAX);
    assert_int_equal(verbs_request_chain(id), 1023);
    assert_int_equal(verbs_request_op(id), 63);
}

static void a_chain_waits_for_room_and_for_its_reads(void **state) {
    (void)state;
    struct verbs_link link = {.posted = 200, .reads = 100, .line = {.reads_max = 128}};
    const struct verbs_chain long_one = {.count = 57}, reads = {.count = 40, .reads = 29};
    const struct verbs_chain fits = {.count = 56, .reads = 28};
    assert_false(verbs_chain_fits(&long_one, &link, 256));
    assert_false(verbs_chain_fits(&reads, &link, 256));
    assert_true(verbs_chain_fits(&fits, &link, 256));
    link.line.reads_max = 16; /* an adapter's: it holds them back itself */
    assert_true(verbs_chain_fits(&reads, &link, 256));
}

/* A chain of these operations, marked, as verbs_chain.c does it. */
static void chain_mark(struct verbs_chain *chain, struct verbs_link *link, uint64_t *results) {
    verbs_chain_measure(&batch, link->node, 1 << 20, 1 << 20, chain);
    chain->batch = &batch;
    chain->link = link;
    chain->results = results;
    chain->mark = verbs_mark_make(7);
    for (uint32_t i = 0; i < batch.count; i++)
        if (batch.ops[i].node == link->node)
            verbs_mark_put(&batch.ops[i], &results[i], chain->mark);
}

static void an_answer_that_has_not_come_is_noticed_in_every_packet(void **state) {
    (void)state;
    static uint64_t results[DM_BATCH_OPS];
    struct verbs_link link = {.node = 1};
    struct verbs_chain chain;
    dm_batch_init(&batch, NULL);
    dm_batch_read(&batch, 0, 0, local + 3000, 8); /* another node's: not of this chain */
    dm_batch_write(&batch, 1, 0, local + 3064, 8);
    dm_batch_read(&batch, 1, 0, local + 8, 7); /* too short to tell */
    dm_batch_read(&batch, 1, 0, local + 512, 2 * VERBS_MARK_APART_BYTES + 8);
    dm_batch_cas(&batch, 1, 8, 1, 2);
    memset(local, 0, sizeof local);
    chain_mark(&chain, &link, results);
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(local[i], 0); /* the short READ's is left alone */
    for (size_t i = 3000; i < 3072; i++)
        assert_int_equal(local[i], 0); /* and a WRITE's source */
    for (uint32_t packet = 0; packet < 3; packet++) {
        assert_int_equal(verbs_mark_left(&chain), 3);
        memset(local + 512 + packet * VERBS_MARK_APART_BYTES, 0, 8);
    }
    assert_int_equal(verbs_mark_left(&chain), 4);
    results[4] = 0;
    assert_int_equal(verbs_mark_left(&chain), DM_BATCH_OPS);
    chain.end = 3; /* what was not posted has no answer */
    chain_mark(&chain, &link, results);
    chain.end = 3;
    assert_int_equal(verbs_mark_left(&chain), DM_BATCH_OPS);
}

static void no_mark_comes_twice(void **state) {
    (void)state;
    for (uint64_t n = 0; n < 1000; n++) {
        assert_int_not_equal(verbs_mark_make(n), 0);
        assert_int_not_equal(verbs_mark_make(n), verbs_mark_make(n + 1));
    }
}

static void send_queues_are_as_deep_as_all_completions_have_room_for(void **state) {
    (void)state;
    assert_int_equal(verbs_send_depth(3, 32768, 1 << 22), VERBS_SEND_DEPTH);
    assert_int_equal(verbs_send_depth(3, 100, 1 << 22), 100);
    assert_int_equal(verbs_send_depth(64, 32768, 64 * 70), 70);
    assert_int_equal(verbs_send_depth(64, 32768, 64 * 63), 0); /* not one full chain */
    assert_int_equal(verbs_send_depth(1, 16, 4096), 0);
}

/* ---- Configuration ---------------------------------------------------------------------------------------------- */

static void impossible_values_are_refused_with_their_limits(void **state) {
    (void)state;
    struct dm_verbs_config good;
    char error[512];
    dm_verbs_config_init(&good);
    assert_int_equal(verbs_config_check(&good, error, sizeof error), DM_INVALID);
    assert_non_null(strstr(error, "rdma.secret_file"));
    good.secret = SECRET;
    good.secret_bytes = sizeof SECRET;
    assert_int_equal(verbs_config_check(&good, error, sizeof error), DM_OK);
    struct dm_verbs_config bad[10];
    for (size_t i = 0; i < 10; i++)
        bad[i] = good;
    bad[0].secret_bytes = 15;
    bad[1].mtu = 1500;
    bad[2].mtu = 8192;
    bad[3].port = 256;
    bad[4].gid_index = -2;
    bad[5].traffic_class = 256;
    bad[6].service_level = 16;
    bad[7].timeout = 32;
    bad[8].retry_count = 8;
    bad[9].rnr_retry = 8;
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(verbs_config_check(&bad[i], error, sizeof error), DM_INVALID);
}

static void what_is_left_open_is_what_suits_the_device(void **state) {
    (void)state;
    struct dm_verbs_config config;
    dm_verbs_config_init(&config);
    verbs_config_settle(&config, &(struct verbs_device){.software = false});
    assert_int_equal(config.timeout, 14);
    assert_int_equal(config.retry_count, 7);
    dm_verbs_config_init(&config);
    config.retry_count = 0; /* said, so kept */
    verbs_config_settle(&config, &(struct verbs_device){.software = true});
    assert_int_equal(config.timeout, 18);
    assert_int_equal(config.retry_count, 0);
}

static void keys_are_set_within_their_limits(void **state) {
    (void)state;
    struct rdma_setting setting;
    char cause[512];
    size_t count;
    const struct rdma_key *keys = rdma_keys(&count);
    for (size_t i = 0; i < count; i++) {
        rdma_setting_defaults(&setting);
        if (keys[i].text && !keys[i].choices)
            continue;
        assert_true(rdma_setting_set(&setting, keys[i].name, keys[i].default_text, cause, sizeof cause));
        assert_false(rdma_setting_set(&setting, keys[i].name, "nonsense", cause, sizeof cause));
        assert_non_null(strstr(cause, keys[i].name));
    }
    assert_true(rdma_setting_set(&setting, "gid_index", "3", cause, sizeof cause));
    assert_int_equal(setting.gid_index, 3);
    assert_false(rdma_setting_set(&setting, "gid_index", "-2", cause, sizeof cause));
    assert_false(rdma_setting_set(&setting, "no_such_key", "1", cause, sizeof cause));
}

static bool secret_tried(const char *content, mode_t mode, char error[512], uint32_t *bytes) {
    char path[] = "/tmp/test_verbs_XXXXXX";
    struct rdma_setting setting;
    struct dm_verbs_config config;
    uint8_t secret[256];
    const int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, content, strlen(content)), (ssize_t)strlen(content));
    assert_int_equal(fchmod(descriptor, mode), 0);
    close(descriptor);
    rdma_setting_defaults(&setting);
    snprintf(setting.secret_file, sizeof setting.secret_file, "%s", path);
    const bool applied = rdma_setting_apply(&setting, &config, secret, error, 512);
    *bytes = config.secret_bytes;
    unlink(path);
    return applied;
}

static void a_secret_is_a_files_content_without_its_line_end(void **state) {
    (void)state;
    char error[512];
    uint32_t bytes;
    char huge[300];
    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    assert_true(secret_tried("0123456789abcdef\n", 0600, error, &bytes));
    assert_int_equal(bytes, 16);
    assert_false(secret_tried("0123456789abcde\n", 0600, error, &bytes));
    assert_non_null(strstr(error, "15 bytes"));
    assert_false(secret_tried(huge, 0600, error, &bytes));
    assert_false(secret_tried("0123456789abcdef\n", 0666, error, &bytes));
    assert_non_null(strstr(error, "chmod"));
}

/* Where there is a device (in the guest), connecting to nobody fails too, with another message. */
static void without_a_device_opening_fails_with_a_remedy(void **state) {
    (void)state;
    static const char *const nodes[] = {"rdma://127.0.0.1:7471"};
    struct dm_verbs_config config;
    struct dm_fabric *fabric = NULL;
    char error[512] = "";
    dm_verbs_config_init(&config);
    config.secret = SECRET;
    config.secret_bytes = sizeof SECRET;
    assert_int_equal(dm_fabric_open_verbs(dm_env_system(), &config, nodes, 1, &fabric, error, sizeof error),
                     DM_UNREACHABLE);
    assert_non_null(strstr(error, "RDMA"));
    assert_null(fabric);
    assert_int_equal(dm_fabric_open_verbs(dm_env_system(), &config, nodes, 0, &fabric, error, sizeof error),
                     DM_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_side_proves_something_else_and_all_of_the_handshake),
        cmocka_unit_test(a_link_is_proved_with_session_counter_and_number),
        cmocka_unit_test(a_counter_is_taken_once_and_not_from_far_behind),
        cmocka_unit_test(a_head_of_another_version_or_too_short_is_not_taken),
        cmocka_unit_test(addresses_have_host_and_port),
        cmocka_unit_test(a_chain_is_what_a_batch_has_for_its_node),
        cmocka_unit_test(a_chain_ends_before_what_cannot_be_posted),
        cmocka_unit_test(requests_say_what_the_operations_say),
        cmocka_unit_test(a_chain_waits_for_room_and_for_its_reads),
        cmocka_unit_test(an_answer_that_has_not_come_is_noticed_in_every_packet),
        cmocka_unit_test(no_mark_comes_twice),
        cmocka_unit_test(send_queues_are_as_deep_as_all_completions_have_room_for),
        cmocka_unit_test(impossible_values_are_refused_with_their_limits),
        cmocka_unit_test(what_is_left_open_is_what_suits_the_device),
        cmocka_unit_test(keys_are_set_within_their_limits),
        cmocka_unit_test(a_secret_is_a_files_content_without_its_line_end),
        cmocka_unit_test(without_a_device_opening_fails_with_a_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
