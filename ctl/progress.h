/* progress.h: a bar on stderr for what takes longer than two seconds, if stderr is a terminal. One thread. */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    uint64_t began_ns, drawn_ns;
    bool terminal, visible;
};

void progress_begin(struct progress *progress);
/* As often as one likes; draws ten times a second at the most. */
void progress_show(struct progress *progress, const char *what, uint64_t done, uint64_t of);
/* Takes the bar away, before something else is printed. */
void progress_clear(struct progress *progress);

#endif
