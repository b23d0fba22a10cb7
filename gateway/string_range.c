/* string_range.c: which bytes a range means, and writing into the midst of a string; see string_range.h. Pure. */
#include "string_range.h"

/* Never written: pages of it that nobody reads cost nothing. */
static uint8_t gap_zeros[STRING_GAP_BYTES_MAX];

uint64_t string_range_clip(int64_t start, int64_t end, uint64_t length, uint64_t *first) {
    int64_t last = (int64_t)length - 1;

    *first = 0;
    if (start < 0 && end < 0 && start > end) {
        return 0;
    }
    if (start < 0) {
        start = start < -(int64_t)length ? 0 : (int64_t)length + start;
    }
    if (end < 0) {
        end = end < -(int64_t)length ? 0 : (int64_t)length + end;
    }
    if (end > last) {
        end = last;
    }
    if (start > end) {
        return 0;
    }
    *first = (uint64_t)start;
    return (uint64_t)(end - start) + 1;
}

void string_overlay_write(const struct dm_value *old, struct dm_bytes patch, uint64_t offset, struct dm_write *write) {
    uint32_t length = old == NULL ? 0 : old->length;
    uint64_t behind = offset + patch.length;

    if (offset >= length) {
        write->part[0] = (struct dm_bytes){old == NULL ? NULL : old->bytes, length};
        write->part[1] = (struct dm_bytes){gap_zeros, (uint32_t)(offset - length)};
        write->part[2] = patch;
    } else {
        write->part[0] = (struct dm_bytes){old->bytes, (uint32_t)offset};
        write->part[1] = patch;
        if (behind < length) {
            write->part[2] = (struct dm_bytes){old->bytes + behind, length - (uint32_t)behind};
        }
    }
    write->type = DM_TYPE_STRING;
    write->encoding = STRING_RAW;
    write->expire_ms = old == NULL ? DM_NO_EXPIRY : old->expire_ms;
}

enum dm_action string_overlay_decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct string_overlay *overlay = context;
    uint64_t length = old == NULL ? 0 : old->length, behind = overlay->offset + overlay->patch.length;

    if (old != NULL && old->type != DM_TYPE_STRING) {
        overlay->result = STRING_WRONG_TYPE;
        return DM_KEEP;
    }
    overlay->result = STRING_OK;
    overlay->length = length;
    if (overlay->patch.length == 0) {
        return DM_KEEP;
    }
    if (behind > overlay->bytes_max) {
        overlay->result = STRING_TOO_LONG;
        return DM_KEEP;
    }
    overlay->length = behind > length ? behind : length;
    string_overlay_write(old, overlay->patch, overlay->offset, write);
    return DM_WRITE;
}
