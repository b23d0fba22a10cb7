/* membership.c: gateways that come, go and come back to one pool, and those that must not join it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fabric/control.h"
#include "fusee/layout.h"
#include "info.h"
#include "pattern.h"
#include "report.h"
#include "servers.h"
#include "wire.h"

#define KEYS 3000
#define VALUE_BYTES 900
#define RESTARTS 8
#define REFUSE_S 15.0

/* ---- Data that must survive ---- */

static bool write_keys(int port, uint32_t sequence) {
    struct wire wire;
    char name[32], value[VALUE_BYTES];
    struct buffer command = {0};
    const char *reply;
    size_t length;
    bool right = wire_open(&wire, port);
    for (int i = 0; i < KEYS; i++) {
        int n = snprintf(name, sizeof name, "kept:%d", i);
        pattern_fill(value, sizeof value, name, sequence);
        buffer_addf(&command, "*3\r\n$3\r\nSET\r\n");
        buffer_add_arg(&command, name, (size_t)n);
        buffer_add_arg(&command, value, sizeof value);
    }
    right = right && wire_send(&wire, command.bytes, command.length) == WIRE_OK;
    for (int i = 0; i < KEYS && right; i++)
        right = wire_reply(&wire, &reply, &length) == WIRE_OK && *reply == '+';
    buffer_free(&command);
    wire_close(&wire);
    return right;
}

static int count_right(int port, uint32_t sequence) {
    struct wire wire;
    char words[40], value[VALUE_BYTES];
    const char *reply;
    size_t length, head = strlen("$900\r\n");
    int right = 0;
    if (!wire_open(&wire, port))
        return -1;
    for (int i = 0; i < KEYS; i++) {
        snprintf(words, sizeof words, "GET kept:%d", i);
        pattern_fill(value, sizeof value, words + 4, sequence);
        if (wire_ask(&wire, words, &reply, &length) != WIRE_OK)
            break;
        right += length == head + VALUE_BYTES + 2 && memcmp(reply + head, value, VALUE_BYTES) == 0;
    }
    wire_close(&wire);
    return right;
}

static double blocks_free(int port) { return info_need(port, "pool_blocks_free"); }

/* ---- Coming and going ---- */

static void case_restart(struct cluster *cluster) {
    bool kept = write_keys(cluster->gateway[0]->port, 1);
    double before = -1, after = -1;
    int code = 0;
    for (int i = 0; i < RESTARTS && kept && code == 0; i++) {
        code = process_stop(cluster->gateway[0], 15);
        cluster->gateway[0] = cluster_start_gateway(cluster, NULL);
        kept = count_right(cluster->gateway[0]->port, (uint32_t)i + 1) == KEYS &&
               write_keys(cluster->gateway[0]->port, (uint32_t)i + 2);
        after = blocks_free(cluster->gateway[0]->port);
        if (i == 1)
            before = after;
    }
    report_case(kept && code == 0, "a gateway that ends and starts again, %d times: all %d keys are there", RESTARTS,
                KEYS);
    double total = info_need(cluster->gateway[0]->port, "pool_blocks_total");
    report_note("of %.0f blocks %.0f free after the second start, %.0f after the last", total, before, after);
    report_case(after >= before - total * 0.03, "restarts leak no memory");
    report_case(count_right(cluster->gateway[1]->port, RESTARTS + 1) == KEYS, "the other gateway reads the same");
}

static void case_all_restart(struct cluster *cluster) {
    for (int i = 0; i < cluster->gateway_count; i++)
        process_stop(cluster->gateway[i], 15);
    for (int i = 0; i < cluster->gateway_count; i++)
        cluster->gateway[i] = cluster_start_gateway(cluster, NULL);
    int right = count_right(cluster->gateway[1]->port, RESTARTS + 1);
    report_case(right == KEYS, "all gateways end, all start again: %d of %d keys are there", right, KEYS);
}

static void case_joins(struct cluster *cluster) {
    struct cluster later = *cluster;
    later.replicas = 0;
    struct process *process = cluster_start_gateway(&later, NULL);
    bool same = info_need(process->port, "pool_replicas") == cluster->replicas;
    static const char *const fields[] = {"pool_nodes", "pool_subtables", "pool_region_bytes", "pool_block_bytes",
                                         "pool_blocks_total"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        same &= info_need(process->port, fields[i]) == info_need(cluster->gateway[0]->port, fields[i]);
    }
    report_case(same, "a gateway without settings takes the geometry from the pool");
    report_case(count_right(process->port, RESTARTS + 1) == KEYS, "and reads all keys");
    report_case(process_stop(process, 15) == 0, "and leaves with exit code 0");
}

/* ---- Refusals ---- */

static void case_refused(const char *memservers, const char *more, const char *message, const char *name) {
    struct process_args args = {.argc = 0};
    process_args_add(&args, "--pool.memservers=%s", memservers);
    if (more)
        process_args_add(&args, "%s", more);
    struct process *process = servers_launch_fusegate(process_free_port(), &args);
    bool ended = process_wait_end(process, REFUSE_S);
    bool right = ended && process_exit_code(process) == 1 && process_log_contains(process, message);
    char *text = process_log_message(process);
    report_case(right, "%s: %.250s", name, text);
    free(text);
    if (!ended)
        process_stop(process, 9);
}

static void case_refusals(struct cluster *cluster) {
    static const int turned[] = {1, 2, 0}, twice[] = {0, 1, 1};
    const char *all = cluster_memservers(cluster, NULL);
    char copy[1024];
    snprintf(copy, sizeof copy, "%s", all);
    case_refused(copy, "--pool.replicas=2", "replicas", "another number of replicas is refused");
    case_refused(copy, "--pool.block_size=64kb", "block", "another block size is refused");
    case_refused(copy, "--pool.subtables=4096", "subtables", "another number of subtables is refused");
    snprintf(copy, sizeof copy, "%s", cluster_memservers(cluster, turned));
    case_refused(copy, NULL, "order", "memory nodes in another order are refused");
    snprintf(copy, sizeof copy, "%s", cluster_memservers(cluster, twice));
    case_refused(copy, NULL, "same", "a memory node given twice is refused");
    struct cluster fewer = *cluster;
    fewer.memserver_count = 2;
    snprintf(copy, sizeof copy, "%s", cluster_memservers(&fewer, NULL));
    case_refused(copy, NULL, "3", "a memory node left out is refused");
    report_case(count_right(cluster->gateway[0]->port, RESTARTS + 1) == KEYS, "what was refused has changed nothing");
}

/* Maps the memory of a node as a client does. */
static struct superblock *map_superblock(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct control_head hello = {
        .magic = CONTROL_MAGIC, .version = CONTROL_VERSION, .type = CONTROL_HELLO, .length = sizeof hello};
    char reply[CONTROL_MESSAGE_BYTES_MAX];
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = reply, .iov_len = sizeof reply};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int socket_fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), memory_fd = -1;
    bool answered = connect(socket_fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                    send(socket_fd, &hello, sizeof hello, 0) > 0 && recvmsg(socket_fd, &message, 0) > 0;
    struct cmsghdr *head = answered ? CMSG_FIRSTHDR(&message) : NULL;
    if (!head || head->cmsg_type != SCM_RIGHTS)
        report_abort("%s gives no memory", path);
    memcpy(&memory_fd, CMSG_DATA(head), sizeof memory_fd);
    void *base = mmap(NULL, LAYOUT_SUPERBLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
    if (base == MAP_FAILED)
        report_abort("cannot map the memory of %s", path);
    close(memory_fd);
    close(socket_fd);
    return base;
}

static void case_versions(struct cluster *cluster) {
    struct superblock *super[CLUSTER_MAX] = {NULL};
    const char *all = cluster_memservers(cluster, NULL);
    char copy[1024];
    snprintf(copy, sizeof copy, "%s", all);
    for (int i = 0; i < cluster->memserver_count; i++)
        super[i] = map_superblock(cluster->socket[i]);
    uint32_t version = super[0]->version;
    for (int i = 0; i < cluster->memserver_count; i++)
        super[i]->version = 99;
    case_refused(copy, NULL, "99", "a pool of another format version is refused");
    for (int i = 0; i < cluster->memserver_count; i++)
        super[i]->version = version;
    uint64_t pool_id = super[1]->pool_id;
    super[1]->pool_id ^= 1;
    case_refused(copy, NULL, "", "a memory node of another pool is refused");
    super[1]->pool_id = pool_id;
    uint64_t magic = super[2]->magic;
    super[2]->magic = 0;
    case_refused(copy, NULL, "", "a memory node without a pool is refused");
    super[2]->magic = magic;
    struct process *process = cluster_start_gateway(cluster, NULL);
    report_case(count_right(process->port, RESTARTS + 1) == KEYS, "restored, the pool is as before");
    process_stop(process, 15);
    for (int i = 0; i < cluster->memserver_count; i++)
        munmap(super[i], LAYOUT_SUPERBLOCK_BYTES);
}

int main(void) {
    struct cluster cluster = {.memserver_count = 3, .gateway_count = 2, .replicas = 3, .memory_bytes = 96u << 20};
    cluster_start(&cluster);
    case_restart(&cluster);
    case_all_restart(&cluster);
    case_joins(&cluster);
    case_refusals(&cluster);
    case_versions(&cluster);
    report_case(cluster_stop(&cluster), "every process ends with exit code 0 after SIGTERM");
    return report_finish();
}
