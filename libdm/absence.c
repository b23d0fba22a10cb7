/* absence.c: dm_watch of dm.h. A key that is there has a version, its object's origin. One that is not has none, so a
 * note is written in its place: an object that shows nothing (OBJECT_TYPE_ABSENT), and is written over, kept, copied
 * and removed as any value is. Creating the key replaces the note, and deleting it leaves none. Runs in the caller's
 * coroutine.
 */
#include "fusee/session.h"
#include "fusee/write.h"
#include "transact.h"

struct noting {
    const struct fusee_op *op;
    int64_t now_ms;
    bool wrote;
};

/* In the shape of dm_update_fn. A note is shared while it stays long enough, and goes on under its version. */
static enum dm_action note(void *context, const struct dm_value *old, struct dm_write *write) {
    struct noting *noting = context;
    const struct absence *absence = &noting->op->absence;
    bool lasts = absence->version != 0 && absence->until_ms - noting->now_ms >= DM_WATCH_MS / 2;
    noting->wrote = old == NULL && !lasts;
    if (!noting->wrote) {
        return DM_KEEP;
    }
    write->type = OBJECT_TYPE_ABSENT;
    write->expire_ms = noting->now_ms + DM_WATCH_MS;
    write->unchanged = true;
    return DM_WRITE;
}

static void tell(const struct fusee_op *op, const struct noting *noting, struct dm_watched *out) {
    out->absent = noting->wrote || op->object == NULL;
    out->version = noting->wrote ? op->version
                   : out->absent ? op->absence.version
                                 : object_header(op->object->bytes)->origin;
    out->number = op->key->space;
}

enum dm_status dm_watch(struct dm_session *session, const struct dm_key *key, struct dm_watched *out) {
    if (session->view != NULL) {
        return view_watch(session, key, out);
    }
    enum dm_status status = store_check_key(session, key);
    struct fusee_op *op = status == DM_OK ? op_begin(session, DM_KIND_UPDATE) : NULL;
    if (op == NULL) {
        return status == DM_OK ? session->refusal : status;
    }
    struct noting noting = {.op = op, .now_ms = session->env->wall_ms(session->env->context)};
    struct write_request request = {.fn = note, .context = &noting};
    op_set_key(op, key);
    status = write_run(op, &request);
    if (status == DM_OK) {
        tell(op, &noting, out);
    }
    find_release(op);
    op_end(op);
    return status;
}

bool dm_watched_same(const struct dm_watched *before, const struct dm_watched *now) {
    bool flushed = before->absent && now->absent && before->number != now->number;
    return before->version == now->version || flushed;
}
