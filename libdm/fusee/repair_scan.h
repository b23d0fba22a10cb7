/* repair_scan.h: finds the rounds that dead clients have left open: compares all replicas of all block tables and of
 * the whole index, and has repair_word.c end what differs. Inside a coroutine.
 *
 * Not by the operation log: a round without an object (a clear, an abort, a grant) is not in it, a list that was
 * begun in a block that is not the client's any more leads nowhere, and one object a round trip is slow. The index is
 * about a twentieth of a pool's memory and is read 512 KiB at a time, whatever was in flight.
 */
#ifndef FUSEE_REPAIR_SCAN_H
#define FUSEE_REPAIR_SCAN_H

#include "fusee/repair_word.h"

#define REPAIR_SUSPECTS_MAX 65536u

struct repair_scan {
    struct dm_session *session;
    const struct client_set *dead;
    struct repair_word *suspects; /* open rounds of which nothing tells whose they are */
    uint32_t suspect_count, suspect_capacity;
    uint32_t closed;  /* rounds ended */
    uint32_t cleared; /* tombstones, and intents of committed transactions, that the dead had not cleared */
    bool intents;     /* some were met */
    bool cleans;      /* the second turn: all rounds are ended, intents are cleaned */
};

void repair_scan_close(struct repair_scan *scan);

/* Block tables, then index. */
enum dm_status repair_scan_run(struct repair_scan *scan);

/* The epoch has advanced twice since repair_scan_run ended: what still is as it was then belongs to nobody. */
enum dm_status repair_scan_suspects(struct repair_scan *scan);

#endif
