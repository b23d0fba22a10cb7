/* network.c: fuzzes what other machines and processes may send besides commands: the control socket of a memory node
 * (memserver/control.c), requests to a memory node over RDMA as far as they can be decoded without an adapter
 * (libdm/fabric/verbs_wire.c), links from other gateways, before and behind their proof (gateway/bus_in.c), and
 * requests for metrics (gateway/server_http.c). Whatever came, the next one must be served.
 *
 * Input: 1 byte: which of them; then what is sent.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bus_frame.h"
#include "control.h"
#include "fabric/control.h"
#include "fabric/verbs_wire.h"
#include "fuzz.h"
#include "gateway_process.h"
#include "node_log.h"
#include "process.h"

#define NODE_BYTES (UINT64_C(1) << 20)
#define PACKETS_MAX 8
#define PACKET_BYTES_MAX 300
#define FRAMES_MAX 8
#define BODY_BYTES_MAX 64
#define COUNTERS 256
#define BUS_TRIES_MAX 500
#define BUS_TRY_US 10000

/* ---- The control socket of a memory node ---- */

static char node_path[300];

static void *node_run(void *argument) {
    control_run(argument, eventfd(0, EFD_CLOEXEC));
    fuzz_fault("the memory node has ended");
}

static void node_start(void) {
    static struct memory memory;
    struct control *control;
    pthread_t thread;
    char error[512];

    node_log_level_set((enum dm_log_level)(DM_LOG_WARNING + 1));
    snprintf(node_path, sizeof node_path, "%s/node", process_directory());
    if (!memory_open(&memory, NODE_BYTES, -1, true, error, sizeof error) ||
        !control_open(node_path, &memory, &control, error, sizeof error) ||
        pthread_create(&thread, NULL, node_run, control) != 0) {
        fuzz_fault("the memory node does not start: %s", error);
    }
}

static int node_connect(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, node_path, sizeof address.sun_path - 1);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        fuzz_fault("the memory node takes no connection: %s", strerror(errno));
    }
    return fd;
}

/* A packet that comes back must be one of the protocol; false: the node has closed. */
static bool node_answer(int fd) {
    union {
        struct control_head head;
        uint8_t bytes[2 * CONTROL_MESSAGE_BYTES_MAX];
    } answer;
    ssize_t length = recv(fd, &answer, sizeof answer, 0);

    if (length < 0 && errno == EAGAIN) {
        fuzz_fault("the memory node does not answer");
    }
    if (length <= 0) {
        return false;
    }
    if ((size_t)length < sizeof answer.head || answer.head.magic != CONTROL_MAGIC || answer.head.length != length) {
        fuzz_fault("the memory node answers %zd bytes that are no message", length);
    }
    return true;
}

static void node_must_serve(void) {
    struct control_head status = {.magic = CONTROL_MAGIC,
                                  .version = CONTROL_VERSION,
                                  .type = CONTROL_STATUS,
                                  .length = sizeof(struct control_head)};
    int fd = node_connect();

    if (send(fd, &status, sizeof status, MSG_NOSIGNAL) != (ssize_t)sizeof status || !node_answer(fd)) {
        fuzz_fault("the memory node does not serve the next one");
    }
    close(fd);
}

static void fuzz_control(struct fuzz_input *input) {
    if (node_path[0] == '\0') {
        node_start();
    }
    int fd = node_connect();

    for (int i = 0; i < PACKETS_MAX && input->length > 0; i++) {
        struct control_head head = {.magic = CONTROL_MAGIC, .version = CONTROL_VERSION, .type = CONTROL_HELLO};
        uint8_t packet[sizeof head + PACKET_BYTES_MAX];
        size_t taken, before = fuzz_byte(input) & 1 ? sizeof head : 0; /* with a right head, but for its type */
        const uint8_t *bytes = fuzz_take(input, fuzz_below(input, PACKET_BYTES_MAX), &taken);
        head.type = (uint16_t)(before == 0 || taken == 0 ? 1 : bytes[0] % 8);
        head.length = (uint32_t)(before + taken);
        memcpy(packet, &head, before);
        memcpy(packet + before, bytes, taken);
        if (before + taken == 0 || send(fd, packet, before + taken, MSG_NOSIGNAL) < 0 || !node_answer(fd)) {
            break;
        }
    }
    close(fd);
    node_must_serve();
}

/* ---- RDMA ---- */

/* No counter is taken twice, and none that is not above all others is refused for being new. */
static void fuzz_window(struct fuzz_input *input) {
    struct verbs_window window = {0};
    bool taken[COUNTERS] = {false};
    uint64_t highest = 0;

    while (input->length > 0) {
        uint64_t counter = fuzz_below(input, COUNTERS);
        bool took = verbs_window_take(&window, counter);
        if ((took && taken[counter]) || (!took && counter > highest)) {
            fuzz_fault("counter %llu: %s", (unsigned long long)counter, took ? "taken twice" : "refused though new");
        }
        taken[counter] = taken[counter] || took;
        highest = took && counter > highest ? counter : highest;
    }
}

static void fuzz_verbs(struct fuzz_input *input) {
    struct verbs_data_request request = {.head = verbs_head_make(VERBS_DATA)}, changed;
    uint8_t key[VERBS_PROOF_BYTES] = "key", proof[VERBS_LINK_PROOF_BYTES], again[VERBS_LINK_PROOF_BYTES];
    size_t taken;
    const uint8_t *bytes = fuzz_take(input, sizeof request, &taken);
    uint8_t *exact = malloc(taken + 1);

    memcpy(exact, bytes, taken);
    exact = realloc(exact, taken + (taken == 0));
    if (verbs_head_check(exact, taken, sizeof request) && taken < sizeof request) {
        fuzz_fault("%zu bytes are taken for a request", taken);
    }
    changed = request;
    memcpy(&changed, exact, taken);
    free(exact);
    verbs_link_proof_make(&request, key, proof);
    verbs_link_proof_make(&changed, key, again);
    bool same = memcmp(&request, &changed, offsetof(struct verbs_data_request, proof)) == 0;
    if (verbs_proof_equal(proof, again, sizeof proof) != same) {
        fuzz_fault("two requests, %s, and their proofs are not", same ? "equal" : "different");
    }
    fuzz_window(input);
}

/* ---- Other gateways ---- */

/* Exactly so many bytes; false: the gateway has closed first. */
static bool bus_read(struct wire *wire, void *bytes, size_t length) {
    for (size_t have = 0; have < length;) {
        ssize_t got = recv(wire->fd, (char *)bytes + have, length - have, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            return false;
        }
        have += got > 0 ? (size_t)got : 0;
    }
    return true;
}

/* The connector's side of the proof; false: the gateway has closed. */
static bool bus_prove(struct wire *wire, struct bus_keys *keys) {
    uint8_t greeting[BUS_GREETING_BYTES], answer[BUS_ANSWER_BYTES], proof[BUS_PROOF_BYTES];

    memcpy(answer, BUS_MAGIC, BUS_MAGIC_BYTES);
    if (!bus_read(wire, greeting, sizeof greeting) || !bus_nonce(answer + BUS_MAGIC_BYTES)) {
        return false;
    }
    bus_keys_derive(GATEWAY_SECRET, greeting + BUS_MAGIC_BYTES, answer + BUS_MAGIC_BYTES, keys);
    memcpy(answer + BUS_GREETING_BYTES, keys->proof_connector, BUS_PROOF_BYTES);
    return write(wire->fd, answer, sizeof answer) == (ssize_t)sizeof answer && bus_read(wire, proof, sizeof proof) &&
           bus_proof_equal(proof, keys->proof_acceptor);
}

/* Frames as a gateway with the secret might send them: the proof is right, the rest is the input's. */
static void bus_frames(struct wire *wire, const struct bus_keys *keys, struct fuzz_input *input) {
    for (uint64_t sequence = 0; sequence < FRAMES_MAX && input->length > 0; sequence++) {
        uint8_t head[BUS_HEAD_BYTES];
        char whole[BUS_HEAD_BYTES + BODY_BYTES_MAX];
        struct bus_frame frame = {.kind = fuzz_below(input, 5), .sequence = sequence};
        size_t taken;
        frame.channel_bytes = fuzz_below(input, BODY_BYTES_MAX);
        const uint8_t *body = fuzz_take(input, fuzz_below(input, BODY_BYTES_MAX), &taken);
        frame.channel_bytes = frame.channel_bytes < taken ? frame.channel_bytes : (uint32_t)taken;
        frame.message_bytes = (uint32_t)taken - frame.channel_bytes;
        bus_head_write(keys->frames, &frame, (const char *)body, head);
        memcpy(whole, head, sizeof head);
        memcpy(whole + sizeof head, body, taken);
        if (send(wire->fd, whole, sizeof head + taken, MSG_NOSIGNAL) < 0) {
            return;
        }
    }
}

static void fuzz_bus(struct fuzz_input *input) {
    struct wire wire;
    struct bus_keys keys;
    bool proven = fuzz_byte(input) & 1;

    gateway_connect_bus(&wire);
    if (proven) {
        /* It takes only so many at a time, and may not have noticed yet that earlier ones are gone. */
        for (int tries = 0; !bus_prove(&wire, &keys); tries++) {
            if (tries == BUS_TRIES_MAX) {
                fuzz_fault("the gateway does not take a right proof");
            }
            wire_close(&wire);
            usleep(BUS_TRY_US);
            gateway_connect_bus(&wire);
        }
        bus_frames(&wire, &keys, input);
    } else {
        (void)!send(wire.fd, input->bytes, input->length, MSG_NOSIGNAL);
    }
    wire_close(&wire);
}

static void fuzz_metrics(struct fuzz_input *input) {
    struct wire wire;
    const char *reply;
    size_t length;

    gateway_connect_metrics(&wire);
    gateway_exchange(&wire, input->bytes, input->length, &reply, &length);
    if (length >= 5 && memcmp(reply, "HTTP/", 5) != 0) {
        fuzz_fault("no answer of HTTP: %.*s", (int)(length < 100 ? length : 100), reply);
    }
    wire_close(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static uint32_t inputs;
    struct fuzz_input input = {bytes, length};

    switch (fuzz_byte(&input) % 4) {
    case 0:
        fuzz_control(&input);
        break;
    case 1:
        fuzz_verbs(&input);
        break;
    case 2:
        fuzz_bus(&input);
        break;
    default:
        fuzz_metrics(&input);
    }
    if (++inputs % 64 == 0) {
        gateway_must_serve();
    }
    return 0;
}
