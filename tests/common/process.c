/* process.c: see process.h. */
#define _GNU_SOURCE /* vasprintf, nftw */
#include "process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define PROCESSES_MAX 32
#define READY_TIMEOUT_S 20.0
#define STOP_TIMEOUT_S 10.0
#define PORT_FIRST 20001 /* below the kernel's ephemeral range */
#define PORT_COUNT 6000  /* odd ones */
#define LOG_TAIL_LINES 25

static struct {
    char directory[64];
    pid_t owner;
    struct process process[PROCESSES_MAX];
    int count;
} state;

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static void clean_up(void) {
    if (getpid() != state.owner)
        return;
    for (int i = 0; i < state.count; i++) {
        if (state.process[i].pid <= 0)
            continue;
        kill(state.process[i].pid, SIGKILL);
        waitpid(state.process[i].pid, NULL, 0);
    }
    if (!getenv("KEEP"))
        nftw(state.directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void on_signal(int sig) { exit(128 + sig); }

const char *process_directory(void) {
    if (state.directory[0])
        return state.directory;
    strcpy(state.directory, "/tmp/fusegate-test-XXXXXX");
    if (!mkdtemp(state.directory))
        report_abort("no temporary directory in /tmp: %s", strerror(errno));
    state.owner = getpid();
    atexit(clean_up);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);
    return state.directory;
}

int process_free_port(void) {
    static struct prng prng;
    if (!prng.state)
        prng.state = prng_fresh_seed();
    for (int tries = 0; tries < 1000; tries++) {
        int port = PORT_FIRST + 2 * (int)prng_below(&prng, PORT_COUNT);
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        int bound = bind(fd, (struct sockaddr *)&address, sizeof address);
        close(fd);
        if (bound == 0)
            return port;
    }
    report_abort("no free port");
}

void process_args_add(struct process_args *args, const char *format, ...) {
    va_list arguments;
    if (args->argc == PROCESS_ARGS_MAX)
        report_abort("too many arguments for a process");
    va_start(arguments, format);
    if (vasprintf(&args->argv[args->argc], format, arguments) < 0)
        report_abort("out of memory");
    va_end(arguments);
    args->argc++;
}

static void become(const struct process *process, char *const *argv, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    int log = open(process->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(log, 1);
    dup2(log, 2);
    execvp(argv[0], argv);
    dprintf(2, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static struct process *free_entry(void) {
    if (state.count < PROCESSES_MAX)
        return &state.process[state.count++];
    for (int i = 0; i < PROCESSES_MAX; i++) {
        if (state.process[i].pid == 0)
            return &state.process[i];
    }
    report_abort("too many processes");
}

struct process *process_start(const char *name, int port, struct process_args *args) {
    static unsigned number;
    const char *directory = process_directory();
    struct process *process = free_entry();
    *process = (struct process){.port = port};
    snprintf(process->name, sizeof process->name, "%s", name);
    snprintf(process->log, sizeof process->log, "%s/%u-%s.log", directory, ++number, name);
    fflush(stdout);
    pid_t parent = getpid();
    process->pid = fork();
    if (process->pid < 0)
        report_abort("fork: %s", strerror(errno));
    if (process->pid == 0)
        become(process, args->argv, parent);
    for (int i = 0; i < args->argc; i++)
        free(args->argv[i]);
    *args = (struct process_args){.argc = 0};
    return process;
}

bool process_alive(struct process *process) {
    if (process->pid == 0)
        return false;
    if (waitpid(process->pid, &process->status, WNOHANG) != process->pid)
        return true;
    process->pid = 0;
    return false;
}

static bool answers_ping(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval wait = {.tv_sec = 2};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    char reply[8] = "";
    bool ok = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && send(fd, "PING\r\n", 6, 0) == 6 &&
              recv(fd, reply, 7, MSG_WAITALL) == 7 && (reply[0] == '+' || reply[0] == '-');
    close(fd);
    return ok;
}

bool process_wait_ready(struct process *process) {
    double end = clock_s() + READY_TIMEOUT_S;
    while (clock_s() < end) {
        if (!process_alive(process))
            return false;
        if (answers_ping(process->port))
            return true;
        sleep_s(0.02);
    }
    return false;
}

bool process_wait_end(struct process *process, double seconds) {
    double end = clock_s() + seconds;
    while (process_alive(process)) {
        if (clock_s() > end)
            return false;
        sleep_s(0.005);
    }
    return true;
}

int process_exit_code(const struct process *process) {
    return WIFEXITED(process->status) ? WEXITSTATUS(process->status) : 128 + WTERMSIG(process->status);
}

int process_stop(struct process *process, int sig) {
    if (!process_alive(process))
        return process_exit_code(process);
    kill(process->pid, sig);
    if (!process_wait_end(process, STOP_TIMEOUT_S)) {
        kill(process->pid, SIGKILL);
        process_wait_end(process, STOP_TIMEOUT_S);
    }
    return process_exit_code(process);
}

uint64_t process_rss_bytes(pid_t pid) {
    char path[64];
    unsigned long pages_total, pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%lu %lu", &pages_total, &pages) != 2)
        pages = 0;
    fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t process_ticks(pid_t pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = 0;
    unsigned long user = 0, system = 0;
    const char *fields = strrchr(text, ')');
    if (fields)
        sscanf(fields + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return user + system;
}

double process_cpu_s(pid_t pid) {
    clockid_t clock;
    struct timespec used = {0};
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return 0;
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

char *process_log_text(const struct process *process) {
    FILE *file = fopen(process->log, "r");
    char *text = calloc(1, 1 << 20);
    if (file && text) {
        size_t length = fread(text, 1, (1 << 20) - 1, file);
        text[length] = 0;
    }
    if (file)
        fclose(file);
    return text;
}

bool process_log_contains(const struct process *process, const char *text) {
    char *log = process_log_text(process);
    bool found = log && strstr(log, text);
    free(log);
    return found;
}

char *process_log_message(const struct process *process) {
    char *log = process_log_text(process), *message = log, *rest = NULL;
    for (char *line = strtok_r(log, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (!strstr(line, "not started"))
            message = line;
    }
    message = strdup(message);
    free(log);
    return message;
}

static bool is_worth_printing(const struct process *process) {
    bool refused_to_start = process->pid == 0 && process_exit_code(process) == 1;
    return strncmp(process->name, "redis", 5) != 0 && !refused_to_start;
}

void process_print_logs(void) {
    for (int i = 0; i < state.count; i++) {
        if (!is_worth_printing(&state.process[i]))
            continue;
        char *log = process_log_text(&state.process[i]);
        if (!log || !*log) {
            free(log);
            continue;
        }
        char *tail = log + strlen(log);
        for (int lines = 0; tail > log && lines <= LOG_TAIL_LINES; tail--)
            lines += tail[-1] == '\n';
        printf("# ---- log of %s%s\n%s\n", state.process[i].name, tail > log ? " (end)" : "", tail);
        free(log);
    }
}
