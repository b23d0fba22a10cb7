/* metrics.h: the gateway's counters in the text format of Prometheus. */
#ifndef METRICS_H
#define METRICS_H

#include "server.h"

/* All metrics; malloc'ed text, NULL: out of memory. Any thread that is no worker's. */
char *metrics_text(struct server *server, size_t *length);

#endif
