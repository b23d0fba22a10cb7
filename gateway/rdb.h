/* rdb.h: a string value in the form of Redis's DUMP and RESTORE. Pure but for the memory that it allocates.
 * Called by cmd_dump.c, in a coroutine of the connection's worker, and by unit tests.
 *
 *     +------+------------------------------------+-----------+----------------------------+
 *     | type | value: length and bytes, or an     | version 2 | CRC-64 of all before it, 8 |   low bytes first
 *     | 0    | integer, or compressed             |           |                            |
 *     +------+------------------------------------+-----------+----------------------------+
 */
#ifndef RDB_H
#define RDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RDB_VERSION 10u        /* Redis 7.0's; older ones are read, newer ones refused */
#define RDB_OVERHEAD_BYTES 20u /* most that a dump has beyond the string */
#define RDB_FRAME_BYTES 11u    /* type, version and checksum */

/* Polynomial 0xad93d23594c935a9, reflected, started with 0. */
uint64_t rdb_checksum(const void *bytes, size_t length);

/* Into `out`, which has room for length + RDB_OVERHEAD_BYTES; returns the bytes written. Never compresses. */
size_t rdb_dump(const void *bytes, size_t length, uint8_t *out);

enum rdb_result {
    RDB_OK,
    RDB_BAD_CHECKSUM, /* or version */
    RDB_BAD_DATA,     /* or another type than a string */
    RDB_TOO_LARGE,    /* *length says how large */
    RDB_NO_MEMORY,
};

/* RDB_OK: *bytes is malloc'ed. */
enum rdb_result rdb_restore(const uint8_t *dump, size_t dump_length, uint64_t length_max, uint8_t **bytes,
                            uint64_t *length);

#endif
