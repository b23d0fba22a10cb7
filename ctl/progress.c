/* progress.c: see progress.h. */
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include "dm.h"

#define PATIENCE_NS UINT64_C(2000000000)
#define REDRAW_NS UINT64_C(100000000)
#define BAR_COLUMNS 30

static uint64_t clock_ns(void) {
    const struct dm_env *env = dm_env_system();
    return env->clock_ns(env->context);
}

void progress_begin(struct progress *progress) {
    *progress = (struct progress){.began_ns = clock_ns(), .terminal = isatty(STDERR_FILENO) == 1};
}

void progress_show(struct progress *progress, const char *what, uint64_t done, uint64_t of) {
    uint64_t now_ns = progress->terminal ? clock_ns() : 0;
    if (!progress->terminal || now_ns - progress->began_ns < PATIENCE_NS || now_ns - progress->drawn_ns < REDRAW_NS) {
        return;
    }
    unsigned percent = of == 0 ? 100 : (unsigned)((double)done * 100.0 / (double)of);
    percent = percent > 100 ? 100 : percent;
    fprintf(stderr, "\r\033[K%-32s [", what);
    for (unsigned column = 0; column < BAR_COLUMNS; column++) {
        fputc(column * 100 < percent * BAR_COLUMNS ? '#' : '.', stderr);
    }
    fprintf(stderr, "] %3u %%", percent);
    fflush(stderr);
    progress->drawn_ns = now_ns;
    progress->visible = true;
}

void progress_clear(struct progress *progress) {
    if (progress->visible) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        progress->visible = false;
    }
}
