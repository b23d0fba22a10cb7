/* memserver_process.h: a real fusegate-memserver as a child of a unit test: started, listened to, ended. */
#ifndef MEMSERVER_PROCESS_H
#define MEMSERVER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct memserver_process {
    pid_t pid;
    int log;          /* its stderr */
    char text[16384]; /* what it has logged so far, as a string */
    size_t text_bytes;
};

/* A fresh path for a socket or file in a folder of this test's own. The text lives until the next call but seven. */
const char *memserver_path(const char *name);

/* Starts the program that lies beside the folder of this test; arguments end with NULL. */
void memserver_start(struct memserver_process *process, const char *const *arguments);
/* ... with a listening path and a memory size, and waits until it is ready. */
void memserver_start_ready(struct memserver_process *process, const char *path, const char *memory);

/* Reads its log until `text` has come; false if it ends before, or after ten seconds. */
bool memserver_log_wait(struct memserver_process *process, const char *text);

/* Waits for its end, at most ten seconds, with its whole log in text. Returns the exit code, or -signal. */
int memserver_wait(struct memserver_process *process);
/* Sends a signal first. */
int memserver_end(struct memserver_process *process, int signal_number);

#endif
