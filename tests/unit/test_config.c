/* test_config.c: defaults, file, arguments, and a message for everything that is not allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"

#define ARGUMENTS_MAX 8

struct attempt {
    struct config config;
    char error[1024];
    char path[64]; /* of a temporary file; empty: none */
    bool loaded;
};

/* Loads from a file with this text (NULL: no file) and up to two arguments. */
static struct attempt *load(const char *text, const char *first, const char *second) {
    struct attempt *attempt = calloc(1, sizeof *attempt);
    char *argv[ARGUMENTS_MAX];
    int argc = 0;

    if (text != NULL) {
        strcpy(attempt->path, "/tmp/fusegate-test-XXXXXX");
        int file = mkstemp(attempt->path);
        assert_true(file >= 0);
        assert_int_equal(write(file, text, strlen(text)), (int)strlen(text));
        close(file);
        argv[argc++] = attempt->path;
    }
    if (first != NULL) {
        argv[argc++] = (char *)first;
    }
    if (second != NULL) {
        argv[argc++] = (char *)second;
    }
    attempt->loaded = config_load(&attempt->config, argc, argv, attempt->error, sizeof attempt->error);
    if (text != NULL) {
        unlink(attempt->path);
    }
    return attempt;
}

static void assert_refused(const char *text, const char *argument, const char *message) {
    struct attempt *attempt = load(text, argument, NULL);
    char expected[1024];

    snprintf(expected, sizeof expected, "%s%s", attempt->path, message);
    assert_false(attempt->loaded);
    assert_string_equal(attempt->error, expected);
    free(attempt);
}

static void defaults_are_those_of_the_manual(void **state) {
    struct attempt *attempt = load(NULL, NULL, NULL);
    const struct config *config = &attempt->config;

    (void)state;
    assert_true(attempt->loaded);
    assert_string_equal(config->bind, "127.0.0.1");
    assert_int_equal(config->port, 6379);
    assert_int_equal(config->workers, 0);
    assert_int_equal(config->maxclients, 10000);
    assert_int_equal(config->proto_max_bulk_len, 512 << 20);
    assert_int_equal(config->timeout_s, 0);
    assert_int_equal(config->tcp_backlog, 511);
    assert_int_equal(config->tcp_keepalive_s, 300);
    assert_int_equal(config->output_soft_bytes, 1 << 20);
    assert_int_equal(config->output_hard_bytes, 256 << 20);
    assert_int_equal(config->query_buffer_limit_bytes, 1 << 30);
    assert_string_equal(config->requirepass, "");
    assert_string_equal(config->log_level, "notice");
    assert_string_equal(config->fabric, "local");
    assert_string_equal(config->memservers, "");
    assert_int_equal(config->replicas, 0);
    assert_int_equal(config->region_bytes, 0);
    assert_int_equal(config->block_bytes, 0);
    assert_int_equal(config->subtables, 0);
    assert_int_equal(config->cache_bytes, 64 << 20);
    assert_int_equal(config->embedded_nodes, 3);
    assert_int_equal(config->memory_bytes, 1 << 30);
    assert_int_equal(config->numa_node, -1);
    free(attempt);
}

static void a_file_sets_keys_under_their_sections(void **state) {
    struct attempt *attempt = load("; comment\n[gateway]\nport = 7000\nbind=127.0.0.1 ::1\nproto-max-bulk-len = 64MB\n"
                                   "requirepass = a b=c\n[pool]\nmemservers = /run/a.sock, /run/b.sock\nreplicas = 2\n"
                                   "region_size = 4mb\n[memserver]\nlisten = /run/x.sock\nmemory = 2gb\nnuma_node=1\n",
                                   NULL, NULL);

    (void)state;
    assert_string_equal(attempt->error, "");
    assert_true(attempt->loaded);
    assert_int_equal(attempt->config.port, 7000);
    assert_string_equal(attempt->config.bind, "127.0.0.1 ::1");
    assert_int_equal(attempt->config.proto_max_bulk_len, 64 << 20);
    assert_string_equal(attempt->config.requirepass, "a b=c");
    assert_string_equal(attempt->config.memservers, "/run/a.sock, /run/b.sock");
    assert_int_equal(attempt->config.region_bytes, 4 << 20);
    assert_int_equal(attempt->config.memory_bytes, INT64_C(2) << 30);
    assert_int_equal(attempt->config.numa_node, 1);
    assert_string_equal(attempt->config.path, attempt->path);
    free(attempt);
}

static void arguments_come_after_the_file(void **state) {
    struct attempt *attempt = load("[gateway]\nport = 7000\nworkers = 2\n", "--gateway.port=7001", "--pool.cache=1mb");

    (void)state;
    assert_true(attempt->loaded);
    assert_int_equal(attempt->config.port, 7001);
    assert_int_equal(attempt->config.workers, 2);
    assert_int_equal(attempt->config.cache_bytes, 1 << 20);
    free(attempt);
}

static void users_add_up_line_by_line(void **state) {
    struct attempt *attempt =
        load("[gateway]\nuser = a on >x\nuser = b +@all (~k* +get)\n", "--gateway.user=c off", NULL);

    (void)state;
    assert_true(attempt->loaded);
    assert_string_equal(attempt->config.users, "a on >x\nb +@all (~k* +get)\nc off\n");
    free(attempt);
}

static void errors_in_a_file_name_file_line_key_value_and_what_is_allowed(void **state) {
    (void)state;
    assert_refused("[gateway]\n\nport = x\n", NULL, ":3: [gateway] port = 'x': must be a whole number from 0 to 65535");
    assert_refused("[gateway]\nport = 65536\n", NULL,
                   ":2: [gateway] port = '65536': must be a whole number from 0 to 65535");
    assert_refused("[gateway]\nport =\n", NULL, ":2: [gateway] port = '': must be a whole number from 0 to 65535");
    assert_refused("[gateway]\nlog_level = loud\n", NULL,
                   ":2: [gateway] log_level = 'loud': must be one of: debug verbose notice warning");
    assert_refused("[gateway]\nlog_level = verb\n", NULL,
                   ":2: [gateway] log_level = 'verb': must be one of: debug verbose notice warning");
    assert_refused("[gateway]\nlog_level = debug verbose notice\n", NULL,
                   ":2: [gateway] log_level = 'debug verbose notice': must be one of: debug verbose notice warning");
    assert_refused("[rdma]\nmemory_windows = yes no\n", NULL,
                   ":2: rdma.memory_windows: invalid value 'yes no'; allowed: yes no");
    assert_refused("[gateway]\nbind =\n", NULL,
                   ":2: [gateway] bind = '': must be not empty, a text of at most 255 bytes");
    assert_refused("[pool]\ncache = 1kb\n", NULL,
                   ":2: [pool] cache = '1kb': must be a size from 1mb to 1tb, in bytes or with kb, mb, gb");
    assert_refused("[pool]\nblock_size = 3mb\n", NULL,
                   ":2: [pool] block_size = '3mb': must be a size from 0 to 1gb, 0 or a power of two, in bytes or "
                   "with kb, mb, gb");
    assert_refused("[pool]\nsubtables = 3\n", NULL,
                   ":2: [pool] subtables = '3': must be a whole number from 0 to 16777216, 0 or a power of two");
    assert_refused("[pool]\nfabric = telepathy\n", NULL,
                   ":2: [pool] fabric = 'telepathy': must be one of: local verbs");
}

static void unknown_names_and_broken_lines_are_errors(void **state) {
    (void)state;
    assert_refused("[gateway]\nprot = 1\n", NULL, ":2: [gateway] prot: no such key; fusegate --help lists all");
    assert_refused(
        "[gatway]\nport = 1\n", NULL,
        ":2: [gatway] port: no such section; there are [gateway], [pool], [rdma], [coordinator] and [memserver]");
    assert_refused("port = 1\n", NULL,
                   ":1: [] port: no such section; there are [gateway], [pool], [rdma], [coordinator] and [memserver]");
    assert_refused("[gateway]\nport\n", NULL, ":2: neither [section], nor key = value, nor ; comment");
    assert_refused("[gateway]\nport = x\nprot = 1\n", NULL,
                   ":2: [gateway] port = 'x': must be a whole number from 0 to 65535");
}

static void errors_in_arguments_name_the_argument(void **state) {
    (void)state;
    assert_refused(NULL, "--gateway.port=-1",
                   "argument '--gateway.port=-1': [gateway] port = '-1': must be a whole number from 0 to 65535");
    assert_refused(NULL, "--gateway.prot=1",
                   "argument '--gateway.prot=1': [gateway] prot: no such key; fusegate --help lists all");
    assert_refused(NULL, "--port=1", "argument '--port=1': must be --section.key=value (fusegate --help lists all)");
    assert_refused(NULL, "--gateway.port",
                   "argument '--gateway.port': must be --section.key=value (fusegate --help lists all)");
    assert_refused(NULL, "/nowhere/x.conf", "/nowhere/x.conf: cannot be read: No such file or directory");
}

static void keys_that_contradict_each_other_are_errors(void **state) {
    struct attempt *attempt = load(NULL, "--gateway.output_hard_limit=1mb", "--gateway.output_soft_limit=2mb");

    (void)state;
    assert_false(attempt->loaded);
    assert_string_equal(attempt->error,
                        "[gateway] output_hard_limit (1048576) must not be below output_soft_limit (2097152)");
    free(attempt);
    assert_refused(NULL, "--pool.replicas=4",
                   "[pool] replicas = 4: the embedded pool has only 3 nodes (embedded_nodes)");
}

static void every_key_can_be_shown_and_read_back(void **state) {
    struct config config;
    size_t count;
    const struct config_key *keys = config_keys(&count);

    (void)state;
    config_defaults(&config);
    assert_true(count > 20);
    for (size_t i = 0; i < count; i++) {
        char value[4096], argument[4300];
        assert_true(config_value_format(&config, &keys[i], value, sizeof value) >= 0);
        snprintf(argument, sizeof argument, "--%s.%s=%s", keys[i].section, keys[i].name, value);
        struct attempt *attempt = load(NULL, argument, NULL);
        assert_string_equal(attempt->error, "");
        assert_memory_equal(&attempt->config, &config, sizeof config);
        free(attempt);
    }
}

static void the_sample_files_are_valid_and_show_the_defaults(void **state) {
    struct config defaults, sample;
    char error[1024] = "";
    char *single[] = {"conf/fusegate.conf"}, *cluster[] = {"conf/cluster.conf"};

    (void)state;
    config_defaults(&defaults);
    assert_true(config_load(&sample, 1, single, error, sizeof error));
    memset(sample.path, 0, sizeof sample.path);
    assert_memory_equal(&sample, &defaults, sizeof sample);
    assert_true(config_load(&sample, 1, cluster, error, sizeof error));
    assert_int_equal(sample.replicas, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_manual),
        cmocka_unit_test(a_file_sets_keys_under_their_sections),
        cmocka_unit_test(arguments_come_after_the_file),
        cmocka_unit_test(users_add_up_line_by_line),
        cmocka_unit_test(errors_in_a_file_name_file_line_key_value_and_what_is_allowed),
        cmocka_unit_test(unknown_names_and_broken_lines_are_errors),
        cmocka_unit_test(errors_in_arguments_name_the_argument),
        cmocka_unit_test(keys_that_contradict_each_other_are_errors),
        cmocka_unit_test(every_key_can_be_shown_and_read_back),
        cmocka_unit_test(the_sample_files_are_valid_and_show_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
