/* ctl_run.c: see ctl_run.h. */
#include "ctl_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "report.h"

#define TEXT_BYTES_MAX (1u << 20)

struct ctl_result ctl_run(const struct cluster *cluster, const char *words) {
    static char text[TEXT_BYTES_MAX];
    char command[4096];
    double began = clock_s();
    struct ctl_result result = {.code = -1, .text = text};
    struct process_args args = {.argc = 0};
    cluster_args_add(&args, cluster);
    size_t used = (size_t)snprintf(command, sizeof command, "%s %s", servers_path("fusegate-ctl"), words);
    for (int i = 0; i < args.argc && used < sizeof command; i++) {
        used += (size_t)snprintf(command + used, sizeof command - used, " %s", args.argv[i]);
        free(args.argv[i]);
    }
    snprintf(command + used, used < sizeof command ? sizeof command - used : 0, " 2>&1 < /dev/null");
    FILE *output = popen(command, "r");
    if (output == NULL) {
        report_abort("no shell");
    }
    size_t length = fread(text, 1, sizeof text - 1, output);
    text[length] = '\0';
    int status = pclose(output);
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    result.took_s = clock_s() - began;
    return result;
}

double ctl_number(const struct ctl_result *result, const char *name) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *at = strstr(result->text, quoted);
    return at == NULL ? -1 : strtod(at + strlen(quoted), NULL);
}
