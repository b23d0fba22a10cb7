/* cmd_lolwut.c: LOLWUT: a small drawing and the version. In a coroutine of the connection's worker. */
#include <stdio.h>

#include "cmd.h"
#include "word.h"

#define COLUMNS 48u
#define ROWS 8u
#define CELL_BITS 3u

/* A skyline: every column is as high as some random bits say; the roofs are fuses. */
static size_t draw(const struct call *call, char *out) {
    uint64_t bits = 0;
    unsigned height[COLUMNS];
    size_t length = 0;

    for (unsigned column = 0; column < COLUMNS; column++) {
        if (column % (64 / CELL_BITS) == 0) {
            bits = call->server->env->random_u64(call->server->env->context);
        }
        height[column] = column % 4 == 0 || column == 0 ? (bits & (ROWS - 1)) : height[column - 1];
        bits >>= CELL_BITS;
    }
    for (unsigned row = ROWS; row-- > 0;) {
        for (unsigned column = 0; column < COLUMNS; column++) {
            out[length++] = row < height[column] ? '#' : row == height[column] && column % 4 == 1 ? '|' : ' ';
        }
        out[length++] = '\n';
    }
    return length;
}

void cmd_lolwut(struct call *call) {
    char text[(COLUMNS + 1) * ROWS + 128];
    int64_t version;

    if (call->argc >= 3 && word_equal(&call->argv[1], "version") && !command_integer(call, 2, &version)) {
        return;
    }
    size_t length = draw(call, text);

    length += (size_t)snprintf(text + length, sizeof text - length, "\nFusegate %s, as Redis ver. %s\n",
                               FUSEGATE_VERSION, FUSEGATE_REDIS_VERSION);
    reply_verbatim(call->reply, text, length, "txt");
}
