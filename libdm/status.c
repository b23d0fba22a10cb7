/* status.c: English names for the enums of dm.h. Pure; any thread. */
#include "dm.h"

const char *dm_status_text(enum dm_status status) {
    switch (status) {
    case DM_OK:
        return "ok";
    case DM_NOT_FOUND:
        return "no such key";
    case DM_NO_MEMORY:
        return "the pool is full";
    case DM_TOO_LARGE:
        return "key or value too large";
    case DM_INVALID:
        return "argument or configuration out of range";
    case DM_UNREACHABLE:
        return "a memory node cannot be reached";
    case DM_UNKNOWN_OUTCOME:
        return "outcome unknown: the operation may or may not have happened";
    case DM_INCOMPATIBLE:
        return "incompatible version, pool or geometry";
    case DM_CORRUPT:
        return "memory does not hold what the protocol says it must";
    case DM_BUSY:
        return "a bounded resource is used up, try again";
    case DM_NO_LEASE:
        return "the lease has run out";
    }
    return "unknown status";
}

const char *dm_kind_name(enum dm_kind kind) {
    switch (kind) {
    case DM_KIND_GET:
        return "get";
    case DM_KIND_PUT:
        return "put";
    case DM_KIND_UPDATE:
        return "update";
    case DM_KIND_DELETE:
        return "delete";
    case DM_KIND_GET_MANY:
        return "get_many";
    case DM_KIND_TRANSACT:
        return "transact";
    case DM_KIND_SCAN:
        return "scan";
    case DM_KIND_CLEAR:
        return "clear";
    case DM_KIND_MAINTENANCE:
        return "maintenance";
    case DM_KIND_COUNT:
        break;
    }
    return "unknown";
}
