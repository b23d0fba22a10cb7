/* litmus.c: checks on an RDMA adapter the orderings that Fusegate's engine relies on (libdm/fabric/fabric.h), with
 * plain verbs and without any code of Fusegate. For the owner of an adapter, and run over Soft-RoCE by tests/rdma/run.
 *
 *   litmus ADDRESS            memory and clients in this process, through the adapter that has this IPv4 address
 *   litmus -l ADDRESS         serves memory until it is ended        } the same on two machines
 *   litmus -c ADDRESS         clients of that memory                 }
 *   -p PORT (default 18515 with -l and -c), -n ROUNDS (default 20000)
 *
 * The clients are two threads with a queue pair each. What a line says: "ok" it held in every round; "FAIL" it did
 * not: do not use this adapter; "note" what the adapter does where Fusegate relies on nothing. A litmus test can only
 * find faults: silence is no proof. Last line: N passed, N failed.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rdma/rdma_cma.h>

#define MEMORY_BYTES 65536u
#define BUFFER_BYTES 8192u
#define CHAIN_MAX 4u
#define LONG_WORDS 512u /* 4 KiB: several packets where the MTU is small */
#define PORT "18515"

/* Where the words of the tests lie, each in a line of its own. */
enum { WORD_X = 0, WORD_Y = 64, WORD_FLAG = 128, WORD_SUM = 192, WORD_RACE = 256, AREA_LONG = 8192 };

struct remote {
    uint64_t address;
    uint32_t key;
    uint32_t magic;
};
#define MAGIC 0x4c495431u /* "LIT1" */

static void die(const char *what) {
    perror(what);
    exit(2);
}

/* ---- The node --------------------------------------------------------------------------------------------------- */

struct node {
    struct rdma_event_channel *channel;
    struct rdma_cm_id *listener;
    struct ibv_mr *region;
    void *memory;
};

static void node_accept(struct node *node, struct rdma_cm_id *id) {
    if (node->region == NULL) {
        node->region = ibv_reg_mr(id->pd, node->memory, MEMORY_BYTES,
                                  IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE |
                                      IBV_ACCESS_REMOTE_ATOMIC);
        if (node->region == NULL)
            die("ibv_reg_mr (locked memory? ulimit -l)");
    }
    struct ibv_qp_init_attr attributes = {.cap = {.max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1},
                                          .qp_type = IBV_QPT_RC};
    attributes.cap.max_recv_sge = 1;
    if (rdma_create_qp(id, node->region->pd, &attributes) != 0)
        die("rdma_create_qp");
    struct ibv_device_attr device;
    ibv_query_device(id->verbs, &device);
    const struct remote remote = {(uintptr_t)node->memory, node->region->rkey, MAGIC};
    struct rdma_conn_param accept = {.private_data = &remote, .private_data_len = sizeof remote};
    accept.responder_resources = (uint8_t)(device.max_qp_rd_atom < 16 ? device.max_qp_rd_atom : 16);
    if (rdma_accept(id, &accept) != 0)
        die("rdma_accept");
}

static void *node_run(void *argument) {
    struct node *node = argument;
    struct rdma_cm_event *event;
    while (rdma_get_cm_event(node->channel, &event) == 0) {
        struct rdma_cm_id *id = event->id;
        const enum rdma_cm_event_type type = event->event;
        rdma_ack_cm_event(event);
        if (type == RDMA_CM_EVENT_CONNECT_REQUEST) {
            node_accept(node, id);
        } else if (type == RDMA_CM_EVENT_DISCONNECTED) {
            rdma_disconnect(id);
            rdma_destroy_qp(id);
            rdma_destroy_id(id);
        }
    }
    return NULL;
}

/* Returns the port. */
static uint16_t node_open(struct node *node, const struct sockaddr_in *address) {
    node->channel = rdma_create_event_channel();
    if (node->channel == NULL)
        die("rdma_create_event_channel (no /dev/infiniband/rdma_cm: modprobe rdma_ucm)");
    if (posix_memalign(&node->memory, 4096, MEMORY_BYTES) != 0)
        die("memory");
    memset(node->memory, 0, MEMORY_BYTES);
    if (rdma_create_id(node->channel, &node->listener, NULL, RDMA_PS_TCP) != 0)
        die("rdma_create_id");
    if (rdma_bind_addr(node->listener, (struct sockaddr *)(uintptr_t)address) != 0)
        die("rdma_bind_addr (has an adapter this address? rdma link)");
    if (rdma_listen(node->listener, 16) != 0)
        die("rdma_listen");
    return rdma_get_src_port(node->listener);
}

/* ---- A client --------------------------------------------------------------------------------------------------- */

struct client {
    struct rdma_event_channel *channel;
    struct rdma_cm_id *id;
    struct ibv_cq *completions;
    struct ibv_mr *region;
    uint64_t *buffer; /* chain entry i uses BUFFER_BYTES from i * BUFFER_BYTES */
    struct remote remote;
    struct ibv_send_wr chain[CHAIN_MAX];
    struct ibv_sge parts[CHAIN_MAX];
    unsigned count;
    uint64_t wrong;
};

static void client_expect(struct client *client, enum rdma_cm_event_type wanted) {
    struct rdma_cm_event *event;
    if (rdma_get_cm_event(client->channel, &event) != 0)
        die("rdma_get_cm_event");
    if (event->event != wanted) {
        fprintf(stderr, "expected %s, got %s (status %d)\n", rdma_event_str(wanted), rdma_event_str(event->event),
                event->status);
        exit(2);
    }
    if (wanted == RDMA_CM_EVENT_ESTABLISHED && event->param.conn.private_data_len >= sizeof client->remote)
        memcpy(&client->remote, event->param.conn.private_data, sizeof client->remote);
    rdma_ack_cm_event(event);
}

/* Says what the adapter is; ends when it has no atomics. */
static uint8_t client_depth(struct client *client, bool say) {
    struct ibv_device_attr device;
    if (ibv_query_device(client->id->verbs, &device) != 0)
        die("ibv_query_device");
    if (say)
        printf("adapter %s, firmware %s, atomics %s, %d READs and atomics at a time\n",
               ibv_get_device_name(client->id->verbs->device), device.fw_ver,
               device.atomic_cap == IBV_ATOMIC_NONE  ? "none"
               : device.atomic_cap == IBV_ATOMIC_HCA ? "among this adapter's queue pairs"
                                                     : "also with the CPU",
               device.max_qp_init_rd_atom);
    if (device.atomic_cap == IBV_ATOMIC_NONE) {
        printf("FAIL - this adapter has no atomics: Fusegate cannot use it\n0 passed, 1 failed\n");
        exit(1);
    }
    return (uint8_t)(device.max_qp_init_rd_atom < 16 ? device.max_qp_init_rd_atom : 16);
}

static void client_open(struct client *client, const struct sockaddr_in *address, bool say) {
    client->channel = rdma_create_event_channel();
    if (client->channel == NULL || rdma_create_id(client->channel, &client->id, NULL, RDMA_PS_TCP) != 0)
        die("rdma_create_id (no /dev/infiniband/rdma_cm: modprobe rdma_ucm)");
    if (rdma_resolve_addr(client->id, NULL, (struct sockaddr *)(uintptr_t)address, 2000) != 0)
        die("rdma_resolve_addr");
    client_expect(client, RDMA_CM_EVENT_ADDR_RESOLVED);
    if (rdma_resolve_route(client->id, 2000) != 0)
        die("rdma_resolve_route");
    client_expect(client, RDMA_CM_EVENT_ROUTE_RESOLVED);
    const uint8_t depth = client_depth(client, say);
    client->completions = ibv_create_cq(client->id->verbs, 64, NULL, NULL, 0);
    struct ibv_qp_init_attr attributes = {.send_cq = client->completions,
                                          .recv_cq = client->completions,
                                          .cap = {.max_send_wr = 16, .max_recv_wr = 1, .max_send_sge = 1},
                                          .qp_type = IBV_QPT_RC};
    attributes.cap.max_recv_sge = 1;
    if (client->completions == NULL || rdma_create_qp(client->id, NULL, &attributes) != 0)
        die("rdma_create_qp");
    struct rdma_conn_param connect = {.initiator_depth = depth, .retry_count = 7, .rnr_retry_count = 7};
    if (rdma_connect(client->id, &connect) != 0)
        die("rdma_connect");
    client_expect(client, RDMA_CM_EVENT_ESTABLISHED);
    if (client->remote.magic != MAGIC) {
        fprintf(stderr, "no litmus node listens there\n");
        exit(2);
    }
    void *buffer;
    if (posix_memalign(&buffer, 4096, CHAIN_MAX * BUFFER_BYTES) != 0)
        die("memory");
    client->buffer = buffer;
    client->region = ibv_reg_mr(client->id->pd, buffer, CHAIN_MAX * BUFFER_BYTES, IBV_ACCESS_LOCAL_WRITE);
    if (client->region == NULL)
        die("ibv_reg_mr (locked memory? ulimit -l)");
}

/* Adds an operation to the chain; returns its buffer. */
static uint64_t *add(struct client *client, enum ibv_wr_opcode opcode, uint64_t at, uint32_t bytes) {
    const unsigned i = client->count++;
    uint64_t *buffer = client->buffer + i * (BUFFER_BYTES / 8);
    client->parts[i] = (struct ibv_sge){(uintptr_t)buffer, bytes, client->region->lkey};
    client->chain[i] = (struct ibv_send_wr){.wr_id = i, .sg_list = &client->parts[i], .num_sge = 1, .opcode = opcode};
    client->chain[i].wr.rdma.remote_addr = client->remote.address + at;
    client->chain[i].wr.rdma.rkey = client->remote.key;
    if (i > 0)
        client->chain[i - 1].next = &client->chain[i];
    return buffer;
}

static uint64_t *add_read(struct client *client, uint64_t at, uint32_t bytes) {
    return add(client, IBV_WR_RDMA_READ, at, bytes);
}

static uint64_t *add_write(struct client *client, uint64_t at, uint32_t bytes, uint64_t value) {
    uint64_t *buffer = add(client, IBV_WR_RDMA_WRITE, at, bytes);
    for (uint32_t i = 0; i < bytes / 8; i++)
        buffer[i] = value;
    return buffer;
}

static uint64_t *add_atomic(struct client *client, enum ibv_wr_opcode opcode, uint64_t at, uint64_t first,
                            uint64_t swap) {
    uint64_t *buffer = add(client, opcode, at, 8);
    struct ibv_send_wr *request = &client->chain[client->count - 1];
    request->wr.atomic.remote_addr = client->remote.address + at;
    request->wr.atomic.rkey = client->remote.key;
    request->wr.atomic.compare_add = first;
    request->wr.atomic.swap = swap;
    return buffer;
}

static uint64_t *add_cas(struct client *client, uint64_t at, uint64_t compare, uint64_t swap) {
    return add_atomic(client, IBV_WR_ATOMIC_CMP_AND_SWP, at, compare, swap);
}

static uint64_t *add_faa(struct client *client, uint64_t at, uint64_t addend) {
    return add_atomic(client, IBV_WR_ATOMIC_FETCH_AND_ADD, at, addend, 0);
}

/* Posts the chain with one completion behind it, and waits. */
static void post(struct client *client) {
    struct ibv_send_wr *bad;
    struct ibv_wc completion;
    int got;
    client->chain[client->count - 1].send_flags = IBV_SEND_SIGNALED;
    if (ibv_post_send(client->id->qp, client->chain, &bad) != 0)
        die("ibv_post_send");
    client->count = 0;
    while ((got = ibv_poll_cq(client->completions, 1, &completion)) == 0)
        sched_yield();
    if (got < 0 || completion.status != IBV_WC_SUCCESS) {
        fprintf(stderr, "completion: %s\n", got < 0 ? "none" : ibv_wc_status_str(completion.status));
        exit(2);
    }
}

static void store(struct client *client, uint64_t at, uint32_t bytes, uint64_t value) {
    add_write(client, at, bytes, value);
    post(client);
}

static uint64_t load(struct client *client, uint64_t at) {
    const uint64_t *buffer = add_read(client, at, 8);
    post(client);
    return *buffer;
}

/* ---- Tests: two threads each, which meet before a round where it matters ---------------------------------------- */

static uint64_t rounds = 20000;
static struct client clients[2];
static uint64_t turn[2];   /* where the threads are */
static uint64_t passed_on; /* from thread to thread, beside the adapter */
static uint8_t *seen[2];   /* a byte a round */

static void meet(unsigned self, uint64_t round) {
    __atomic_store_n(&turn[self], round, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&turn[1 - self], __ATOMIC_SEQ_CST) < round)
        sched_yield();
}

static void write_then_cas(struct client *client, unsigned self) {
    for (uint64_t i = 1; i <= rounds; i++) {
        if (self == 0) {
            add_write(client, AREA_LONG, LONG_WORDS * 8, i);
            const uint64_t *found = add_cas(client, WORD_FLAG, i - 1, i);
            post(client);
            client->wrong += *found != i - 1;
        } else {
            const uint64_t flag = load(client, WORD_FLAG);
            const uint64_t *words = add_read(client, AREA_LONG, LONG_WORDS * 8);
            post(client);
            for (unsigned word = 0; word < LONG_WORDS; word++)
                client->wrong += words[word] < flag;
        }
    }
}

static void write_then_write(struct client *client, unsigned self) {
    for (uint64_t i = 1; i <= rounds; i++) {
        if (self == 0) {
            add_write(client, WORD_X, 8, i);
            add_write(client, WORD_Y, 8, i);
            post(client);
        } else {
            const uint64_t y = load(client, WORD_Y);
            client->wrong += load(client, WORD_X) < y;
        }
    }
}

static void cas_then_read(struct client *client, unsigned self) {
    const uint64_t own = self ? WORD_Y : WORD_X, other = self ? WORD_X : WORD_Y;
    for (uint64_t i = 1; i <= rounds; i++) {
        const uint64_t *found = add_cas(client, own, i - 1, i);
        const uint64_t *word = add_read(client, other, 8);
        meet(self, i);
        post(client);
        client->wrong += *found != i - 1;
        seen[self][i - 1] = *word >= i;
    }
}

static void completion_then_read(struct client *client, unsigned self) {
    for (uint64_t i = 1; i <= rounds; i++) {
        if (self == 0) {
            store(client, AREA_LONG, LONG_WORDS * 8, i);
            __atomic_store_n(&passed_on, i, __ATOMIC_SEQ_CST);
        } else {
            const uint64_t ended = __atomic_load_n(&passed_on, __ATOMIC_SEQ_CST);
            const uint64_t *words = add_read(client, AREA_LONG, LONG_WORDS * 8);
            post(client);
            for (unsigned word = 0; word < LONG_WORDS; word++)
                client->wrong += words[word] < ended;
        }
    }
}

static void words_whole(struct client *client, unsigned self) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    for (uint64_t i = 1; i <= rounds; i++) {
        if (self == 0) {
            store(client, AREA_LONG, 256, ones * (i % 256));
        } else {
            const uint64_t *words = add_read(client, AREA_LONG, 256);
            post(client);
            for (unsigned word = 0; word < 32; word++)
                client->wrong += words[word] != ones * (words[word] & 0xff);
        }
    }
}

static void atomics_add_up(struct client *client, unsigned self) {
    uint64_t guess = 0, swapped = 0;
    (void)self;
    for (uint64_t i = 1; i <= rounds; i++) {
        const uint64_t *found = add_cas(client, WORD_X, guess, guess + 1);
        add_faa(client, WORD_SUM, 3);
        post(client);
        swapped += *found == guess;
        guess = *found == guess ? guess + 1 : *found;
    }
    __atomic_add_fetch(&passed_on, swapped, __ATOMIC_SEQ_CST);
}

/* A WRITE of one word beside CASes of it from another queue pair: a CAS that takes effect on an old word may bury a
 * WRITE that came between, for atomics are atomic among themselves. (Soft-RoCE does so.) Thread 0
 * WRITEs 2i; thread 1 turns any even word that it sees into the odd one behind. */
static void atomics_with_writes(struct client *client, unsigned self) {
    for (uint64_t i = 1; i <= rounds; i++) {
        if (self == 0) {
            store(client, WORD_RACE, 8, 2 * i);
            const uint64_t now = load(client, WORD_RACE);
            client->wrong += now != 2 * i && now != 2 * i + 1;
        } else {
            const uint64_t word = load(client, WORD_RACE);
            const uint64_t *found = add_cas(client, WORD_RACE, word & ~UINT64_C(1), word | 1);
            post(client);
            client->wrong += *found < (word & ~UINT64_C(1));
        }
    }
}

static void ascending(struct client *client, unsigned self) {
    for (uint64_t i = 1; i <= rounds; i++) {
        if (self == 0) {
            store(client, AREA_LONG, LONG_WORDS * 8, i);
        } else {
            const uint64_t *words = add_read(client, AREA_LONG, LONG_WORDS * 8);
            post(client);
            for (unsigned word = 1; word < LONG_WORDS; word++)
                client->wrong += words[word] > words[word - 1];
        }
    }
}

static void read_then_write(struct client *client, unsigned self) {
    for (uint64_t i = 1; self == 0 && i <= rounds; i++) {
        const uint64_t *before = add_read(client, WORD_X, 8);
        add_write(client, WORD_X, 8, i);
        post(client);
        client->wrong += *before != i - 1;
    }
}

/* ---- Table ------------------------------------------------------------------------------------------------------ */

struct test {
    const char *sentence;
    void (*run)(struct client *client, unsigned self);
    uint64_t (*judge)(void); /* more faults; may be NULL */
    bool relied_on;
};

static uint64_t judge_neither(void) {
    uint64_t neither = 0;
    for (uint64_t i = 0; i < rounds; i++)
        neither += !seen[0][i] && !seen[1][i];
    return neither;
}

static uint64_t judge_sums(void) {
    const uint64_t swaps = load(&clients[0], WORD_X), sum = load(&clients[0], WORD_SUM);
    return (swaps != passed_on) + (sum != 2 * 3 * rounds);
}

static const struct test tests[] = {
    {"WRITE then CAS on one chain: who sees the word sees the whole object", write_then_cas, NULL, true},
    {"WRITE then WRITE on one chain: who sees the second sees the first", write_then_write, NULL, true},
    {"CAS then READ on one chain: of two that swap and read, one sees the other", cas_then_read, judge_neither, true},
    {"a WRITE that has completed is seen by every READ posted later", completion_then_read, NULL, true},
    {"aligned 8-byte words are never torn", words_whole, NULL, true},
    {"CAS and FAA of several queue pairs add up", atomics_add_up, judge_sums, true},
    {"a WRITE of one word is not buried by a CAS that saw the word before it", atomics_with_writes, NULL, false},
    {"one long WRITE becomes visible in ascending order", ascending, NULL, false},
    {"READ then WRITE on one chain without a fence stay in order", read_then_write, NULL, false},
};

static const struct test *current;

static void *client_run(void *argument) {
    struct client *client = argument;
    const unsigned self = (unsigned)(client - clients);
    meet(self, 1);
    turn[self] = 1;
    current->run(client, self);
    return NULL;
}

static bool test_run(const struct test *test) {
    pthread_t threads[2];
    current = test;
    passed_on = 0;
    turn[0] = turn[1] = 0;
    memset(seen[0], 0, rounds);
    memset(seen[1], 0, rounds);
    for (uint64_t at = 0; at < MEMORY_BYTES / 2; at += LONG_WORDS * 8)
        store(&clients[0], at, LONG_WORDS * 8, 0);
    for (unsigned i = 0; i < 2; i++) {
        clients[i].wrong = 0;
        if (pthread_create(&threads[i], NULL, client_run, &clients[i]) != 0)
            die("pthread_create");
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    const uint64_t wrong = clients[0].wrong + clients[1].wrong + (test->judge ? test->judge() : 0);
    if (test->relied_on)
        printf("%s - %s (%" PRIu64 " rounds, %" PRIu64 " wrong)\n", wrong ? "FAIL" : "ok", test->sentence, rounds,
               wrong);
    else
        printf("note - not relied on: %s: %s\n", test->sentence, wrong ? "no" : "not seen otherwise");
    fflush(stdout);
    return wrong == 0;
}

static int clients_run(const struct sockaddr_in *address) {
    unsigned passed = 0, failed = 0;
    for (unsigned i = 0; i < 2; i++) {
        client_open(&clients[i], address, i == 0);
        seen[i] = malloc(rounds);
        if (seen[i] == NULL)
            die("memory");
    }
    for (size_t t = 0; t < sizeof tests / sizeof tests[0]; t++) {
        const bool good = test_run(&tests[t]);
        passed += tests[t].relied_on && good;
        failed += tests[t].relied_on && !good;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}

static int usage(void) {
    fprintf(stderr, "usage: litmus [-n ROUNDS] ADDRESS | litmus -l ADDRESS [-p PORT] | "
                    "litmus -c ADDRESS [-p PORT] [-n ROUNDS]\n");
    return 2;
}

int main(int argc, char **argv) {
    const char *listen = NULL, *connect = NULL, *port = NULL;
    for (int option; (option = getopt(argc, argv, "l:c:p:n:")) != -1;) {
        switch (option) {
        case 'l':
            listen = optarg;
            break;
        case 'c':
            connect = optarg;
            break;
        case 'p':
            port = optarg;
            break;
        case 'n':
            rounds = strtoull(optarg, NULL, 10);
            break;
        default:
            return usage();
        }
    }
    const bool both = listen == NULL && connect == NULL;
    if (argc - optind != (both ? 1 : 0) || rounds == 0)
        return usage();
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port = htons((uint16_t)atoi(port ? port : both ? "0" : PORT));
    if (inet_pton(AF_INET, both ? argv[optind] : listen ? listen : connect, &address.sin_addr) != 1)
        return usage();
    static struct node node;
    pthread_t thread;
    if (connect == NULL)
        address.sin_port = node_open(&node, &address);
    if (listen != NULL) {
        node_run(&node);
        return 0;
    }
    if (both && pthread_create(&thread, NULL, node_run, &node) != 0)
        die("pthread_create");
    return clients_run(&address);
}
