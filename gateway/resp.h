/* resp.h: reads Redis commands (RESP arrays and inline) from a byte stream that may be cut anywhere.
 *
 * Pure: no I/O, no allocation of its own beyond the argument vector; knows nothing of commands or the pool.
 * The caller owns the bytes. A declared length is never believed for an allocation, only compared with limits.
 * Reads ahead: one call yields up to RESP_AHEAD commands, so that their memory latencies can be overlapped.
 * Called by connection.c on the connection's worker thread.
 */
#ifndef RESP_H
#define RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESP_INLINE_BYTES_MAX (64u * 1024)        /* longest inline request and longest length line */
#define RESP_ARGS_MAX 2147483647                  /* arguments of a command: Redis 7's INT_MAX */
#define RESP_UNAUTHENTICATED_ARGS_MAX 10          /* the same before AUTH, when there is a password */
#define RESP_UNAUTHENTICATED_BULK_BYTES_MAX 16384 /* largest argument before AUTH */
#define RESP_AHEAD 32

/* One argument of a command; points into the caller's bytes, valid until those move or change. */
struct resp_arg {
    const char *bytes;
    size_t length;
};

struct resp_limits {
    int64_t bulk_bytes;   /* largest argument: proto_max_bulk_len */
    bool unauthenticated; /* the limits before authentication hold, too */
};

enum resp_result {
    RESP_MORE, /* all complete commands were read; the rest is not complete yet */
    RESP_FULL, /* as many commands as asked for were read; there may be more */
    RESP_ERROR /* reader->error; what was read before it is good. Answer, then close the connection */
};

struct resp_command {
    uint32_t first; /* index of its name in reader->args */
    uint32_t count; /* arguments, the name included */
};

/* The commands that the last call yielded, and the state of a half-read one behind them. */
struct resp_reader {
    struct resp_command commands[RESP_AHEAD];
    uint32_t command_count;
    uint32_t arg_count, arg_capacity; /* arguments in use: of the complete commands, then of the half-read one */
    struct resp_arg *args;
    /* the half-read command */
    uint32_t half_first;   /* index of its first argument */
    int64_t args_expected; /* still to come; -1: length line of the array not read yet */
    int64_t bulk_expected; /* -1: length line of the next argument not read yet */
    size_t position;       /* its bytes already understood */
    size_t scanned;        /* its bytes in which no line end was found */
    const char *base;      /* where its first byte lay in the last call */
    uint64_t work;         /* bytes looked at in searches for a line end, for tests: linear in what was sent */
    char error[96];        /* text after "-ERR " */
};

void resp_reader_init(struct resp_reader *reader);
void resp_reader_free(struct resp_reader *reader);

/* Forgets the commands of the last call, then reads up to `ahead` (at most RESP_AHEAD) commands from
 * bytes[0..length), which start with the first byte that the last call did not consume (and may have moved since).
 * Inline arguments are unquoted in place. *consumed: bytes that belong to the commands yielded (and empty lines);
 * they must stay where they are until the commands have been executed. */
enum resp_result resp_read(struct resp_reader *reader, const struct resp_limits *limits, char *bytes, size_t length,
                           uint32_t ahead, size_t *consumed);

static inline const struct resp_arg *resp_command_args(const struct resp_reader *reader, uint32_t index) {
    return reader->args + reader->commands[index].first;
}

/* Bytes of memory that the reader holds beyond its own struct. */
static inline size_t resp_reader_bytes(const struct resp_reader *reader) {
    return reader->arg_capacity * sizeof *reader->args;
}

#endif
