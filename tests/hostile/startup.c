/* startup.c: what cannot start says why and what to do, on stderr, and ends with exit code 1 within seconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "report.h"
#include "servers.h"
#include "wire.h"

#define START_S 15.0

/* What the message must contain, separated by |; %s in an argument is the test's directory. */
struct refusal {
    const char *binary, *arguments, *message;
};

static const struct refusal refusals[] = {
    {"fusegate", "--gateway.nosuch=1", "nosuch|no such key"},
    {"fusegate", "--nosuch.port=1", "nosuch"},
    {"fusegate", "--gateway.port=65536", "port|65536|65535"},
    {"fusegate", "--gateway.port=-1", "port|-1"},
    {"fusegate", "--gateway.port=12x", "port|12x"},
    {"fusegate", "--gateway.port=", "port"},
    {"fusegate", "--gateway.workers=65", "workers|65|64"},
    {"fusegate", "--gateway.maxclients=0", "maxclients|0"},
    {"fusegate", "--gateway.log_level=loud", "log_level|loud|notice"},
    {"fusegate", "--gateway.bind=999.1.1.1", "bind|999.1.1.1"},
    {"fusegate", "--gateway.bind=192.0.2.1", "192.0.2.1"},
    {"fusegate", "--gateway.proto_max_bulk_len=1", "proto_max_bulk_len"},
    {"fusegate", "--pool.replicas=5", "replicas|5"},
    {"fusegate", "--pool.replicas=3 --pool.embedded_nodes=2", "replicas"},
    {"fusegate", "--pool.fabric=carrier-pigeon", "fabric|carrier-pigeon|local"},
    {"fusegate", "--pool.block_size=3mb", "block_size|3mb|power of two"},
    {"fusegate", "--pool.region_size=99999999tb", "region_size"},
    {"fusegate", "--memserver.memory=1", "memory|1"},
    {"fusegate", "--memserver.memory=10000gigabytes", "memory|10000gigabytes"},
    {"fusegate", "--memserver.numa_node=1000", "NUMA|1000"},
    {"fusegate", "--port", "--port"},
    {"fusegate", "-x", "-x"},
    {"fusegate", "%s/absent.conf", "absent.conf|No such file"},
    {"fusegate", "%s", "%s"},
    {"fusegate", "%s/unknown-key.conf", "unknown-key.conf|3|nosuch"},
    {"fusegate", "%s/bad-value.conf", "bad-value.conf|2|port"},
    {"fusegate", "%s/bad-line.conf", "bad-line.conf|2"},
    {"fusegate", "%s/binary.conf", "binary.conf"},
    {"fusegate", "--pool.memservers=%s/absent.sock", "absent.sock|no such socket|fusegate-memserver"},
    {"fusegate", "--pool.memservers=%s/dead.sock", "dead.sock|nobody listens"},
    {"fusegate", "--pool.memservers=%s/bad-line.conf", "bad-line.conf"},
    {"fusegate", "--pool.memservers=,", "memservers"},
    {"fusegate-memserver", "--memserver.nosuch=1", "nosuch"},
    {"fusegate-memserver", "--memserver.memory=0", "memory"},
    {"fusegate-memserver", "--memserver.memory=x", "memory"},
    {"fusegate-memserver", "--memserver.memory=999999tb", "memory"},
    {"fusegate-memserver", "--memserver.listen=", "listen"},
    {"fusegate-memserver", "--memserver.listen=%s/absent/x.sock", "absent/x.sock"},
    {"fusegate-memserver", "%s/absent.conf", "absent.conf|No such file"},
    {"fusegate-memserver", "%s/bad-line.conf", "bad-line.conf|2"},
};

static void write_file(const char *name, const char *bytes, size_t length) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", process_directory(), name);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(bytes, 1, length, file) != length)
        report_abort("cannot write %s", path);
    fclose(file);
}

static void fill_in(const char *text, char *out, size_t out_bytes) {
    const char *place = strstr(text, "%s");
    if (!place)
        snprintf(out, out_bytes, "%s", text);
    else
        snprintf(out, out_bytes, "%.*s%s%s", (int)(place - text), text, process_directory(), place + 2);
}

/* True when the process ends by itself with exit code 1 and a message of few lines that holds every part. */
static bool refused(struct process *process, const char *message) {
    if (!process_wait_end(process, START_S)) {
        report_note("  still running after %.0f s", START_S);
        process_stop(process, 9);
        return false;
    }
    bool right = process_exit_code(process) == 1;
    if (!right)
        report_note("  exit code %d", process_exit_code(process));
    char parts[512], *rest = NULL;
    fill_in(message, parts, sizeof parts);
    for (char *part = strtok_r(parts, "|", &rest); part; part = strtok_r(NULL, "|", &rest)) {
        if (process_log_contains(process, part))
            continue;
        report_note("  '%s' is not in the message", part);
        right = false;
    }
    return right;
}

static void case_refusal(const struct refusal *refusal) {
    char words[512], *rest = NULL;
    struct process_args args = {.argc = 0};
    fill_in(refusal->arguments, words, sizeof words);
    process_args_add(&args, "%s", servers_path(refusal->binary));
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        process_args_add(&args, "%s", word);
    }
    struct process *process = process_start(refusal->binary, 0, &args);
    bool right = refused(process, refusal->message);
    char *text = process_log_message(process);
    report_case(right, "%s %s: %.250s", refusal->binary, refusal->arguments, text);
    free(text);
}

static void case_port_taken(void) {
    struct process *first = servers_start_fusegate(NULL);
    struct process *second = servers_launch_fusegate(first->port, NULL);
    char text[32];
    snprintf(text, sizeof text, "%d|in use", first->port);
    report_case(refused(second, text), "a port that is taken is refused");
    struct wire wire;
    bool answers = wire_open(&wire, first->port) && wire_expect(&wire, "PING", "+PONG\r\n");
    wire_close(&wire);
    report_case(answers, "the first to have the port goes on");
    process_stop(first, 15);
}

/* A control socket that is taken, and one that a dead memory node left behind. */
static void case_socket_taken(void) {
    struct cluster cluster = {.memserver_count = 1, .memory_bytes = 16u << 20};
    cluster_start(&cluster);
    for (int i = 0; i < 2; i++) {
        struct process_args args = {.argc = 0};
        process_args_add(&args, "%s", servers_path("fusegate-memserver"));
        process_args_add(&args, "--memserver.listen=%s", cluster.socket[0]);
        process_args_add(&args, "--memserver.memory=16mb");
        struct process *second = process_start("memserver", 0, &args);
        if (i == 0) {
            report_case(refused(second, cluster.socket[0]), "a control socket that is in use is refused");
            process_stop(cluster.memserver[0], 9);
        } else {
            bool early = process_wait_end(second, 0.5);
            report_case(!early, "a control socket that a dead memory node left behind is taken over");
            process_stop(second, 15);
        }
    }
}

static void case_config_file(void) {
    char words[256];
    snprintf(words, sizeof words, "fusegate %s/good.conf --gateway.maxclients=77", process_directory());
    struct process *process = servers_start_named(words);
    struct wire wire;
    bool right = wire_open(&wire, process->port) &&
                 wire_expect(&wire, "CONFIG GET timeout", "*2\r\n$7\r\ntimeout\r\n$3\r\n123\r\n") &&
                 wire_expect(&wire, "CONFIG GET maxclients", "*2\r\n$10\r\nmaxclients\r\n$2\r\n77\r\n");
    wire_close(&wire);
    report_case(right, "a configuration file is read, and an argument overrules it");
    process_stop(process, 15);
}

int main(void) {
    static const char binary[] = "\x7f\x45LF\0\0\0\xff\xfe";
    write_file("unknown-key.conf", "[gateway]\nport = 1\nnosuch = 1\n", 29);
    write_file("bad-value.conf", "[gateway]\nport = 99999\n", 23);
    write_file("bad-line.conf", "[gateway]\nwhat is this\n", 23);
    write_file("good.conf", "; a comment\n[gateway]\ntimeout = 123\nmaxclients = 55\n", 52);
    write_file("binary.conf", binary, sizeof binary - 1);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.64s/dead.sock", process_directory());
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        report_abort("cannot bind %s", address.sun_path);
    close(fd);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        case_refusal(&refusals[i]);
    case_port_taken();
    case_socket_taken();
    case_config_file();
    return report_finish();
}
