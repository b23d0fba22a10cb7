/* ctl_run.h: runs fusegate-ctl on a cluster's pool, and looks into what it prints. Main thread only. */
#ifndef TESTS_CTL_RUN_H
#define TESTS_CTL_RUN_H

#include <stdint.h>

#include "servers.h"

struct ctl_result {
    int code;   /* exit code; -1: it did not end by itself */
    char *text; /* stdout and stderr; valid until the next call */
    double took_s;
};

/* `words`: the command and its options, separated by spaces; what names the pool is added. */
struct ctl_result ctl_run(const struct cluster *cluster, const char *words);

/* The number behind "name": in JSON text, the first of that name; -1: there is none. */
double ctl_number(const struct ctl_result *result, const char *name);

#endif
