/* process.h: server processes of a test: start, readiness, stop, and what they use of the machine.
 *
 * Every process dies with the test program, however that ends, and all files lie in one temporary directory that is
 * removed at exit. Call from the main thread only (but for the functions that read /proc).
 */
#ifndef TESTS_PROCESS_H
#define TESTS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_ARGS_MAX 48

struct process_args {
    char *argv[PROCESS_ARGS_MAX + 1];
    int argc;
};
void process_args_add(struct process_args *args, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct process {
    char name[32];
    char log[256]; /* its stdout and stderr */
    pid_t pid;     /* 0: not running */
    int port;      /* 0: none */
    int status;    /* of waitpid, once ended */
};

/* The temporary directory, made on first use. */
const char *process_directory(void);
/* A free TCP port of 127.0.0.1, odd. */
int process_free_port(void);

/* Starts args->argv and frees it. Up to 32 processes in a program; the struct stays valid until exit. */
struct process *process_start(const char *name, int port, struct process_args *args);
/* Waits until it answers PING at its port; false when it ended or 20 s passed. */
bool process_wait_ready(struct process *process);
/* Waits for the end; false after `seconds`. */
bool process_wait_end(struct process *process, double seconds);
/* Sends the signal and waits; SIGKILL after 10 s. Returns the exit code, or 128 + the signal that ended it. */
int process_stop(struct process *process, int sig);
int process_exit_code(const struct process *process);
bool process_alive(struct process *process);

uint64_t process_rss_bytes(pid_t pid);
/* utime + stime of all its threads, in clock ticks. */
uint64_t process_ticks(pid_t pid);
/* The same in seconds, to the nanosecond. */
double process_cpu_s(pid_t pid);
/* True when the text occurs in the log. */
bool process_log_contains(const struct process *process, const char *text);
/* The log's bytes, for messages; malloc'ed text. */
char *process_log_text(const struct process *process);
/* The last line of the log that says more than that it did not start; malloc'ed. */
char *process_log_message(const struct process *process);
/* The last lines of the logs of systems under test that did not end by themselves, to stdout. */
void process_print_logs(void);

#endif
