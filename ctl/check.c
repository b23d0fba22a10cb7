/* check.c: `fusegate-ctl check`: is a pool that is in use in order? Changes nothing. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#include "ctl.h"

#define NS_PER_S UINT64_C(1000000000)
#define FAULTS_SHOWN_MAX 1000 /* the others are counted */

struct checking {
    struct ctl *ctl;
    struct json_object *faults; /* NULL: for people */
    uint64_t shown;
};

static void on_fault(void *context, enum dm_fault_kind kind, const char *text) {
    struct checking *checking = context;
    if (++checking->shown > FAULTS_SHOWN_MAX) {
        return;
    }
    progress_clear(&checking->ctl->progress);
    if (checking->faults == NULL) {
        printf("FAULT %s: %s\n", dm_fault_name(kind), text);
        return;
    }
    struct json_object *fault = json_object_new_object();
    json_object_object_add(fault, "kind", json_object_new_string(dm_fault_name(kind)));
    json_object_object_add(fault, "text", json_object_new_string(text));
    json_object_array_add(checking->faults, fault);
}

static void print_text(const struct dm_check *check, uint64_t faults) {
    printf("%" PRIu64 " slots, %" PRIu64 " keys, %" PRIu64 " objects read on all replicas\n", check->slots, check->keys,
           check->objects_read);
    for (uint32_t space = 0; space < DM_SPACES; space++) {
        if (check->keys_by_space[space] != 0) {
            printf("  database %" PRIu32 ": %" PRIu64 " keys\n", space, check->keys_by_space[space]);
        }
    }
    if (check->keys_left != 0) {
        printf("  left by a flush, to be removed yet: %" PRIu64 " keys\n", check->keys_left);
    }
    printf("%" PRIu64 " bytes used = %" PRIu64 " reached + %" PRIu64 " noted as free + %" PRIu64
           " known to their owners + %" PRIu64 " lost + %" PRIu64 " cut off%s\n",
           check->bytes_used, check->bytes_reached, check->bytes_marked, check->bytes_owned, check->bytes_lost,
           check->bytes_cut,
           check->lost_judged ? "" : " (lost: not known, a client has had operations under way all the time)");
    if (check->rounds_open != 0) {
        printf("%" PRIu64 " writes under way for long, %" PRIu64
               " of them maybe of dead clients: fusegate-ctl status\n",
               check->rounds_open, check->rounds_dead);
    }
    if (faults == 0) {
        printf("in order\n");
    } else {
        printf("%" PRIu64 " FAULTS:", faults);
        for (int kind = 0; kind < DM_FAULT_KINDS; kind++) {
            if (check->faults[kind] != 0) {
                printf(" %" PRIu64 " %s", check->faults[kind], dm_fault_name((enum dm_fault_kind)kind));
            }
        }
        printf("\n");
    }
}

static void print_json(const struct dm_check *check, uint64_t faults, struct json_object *list) {
    const struct {
        const char *name;
        uint64_t number;
    } numbers[] = {
        {"slots", check->slots},
        {"keys", check->keys},
        {"keys_left_by_flush", check->keys_left},
        {"tombstones", check->tombstones},
        {"intents", check->intents},
        {"objects_read", check->objects_read},
        {"rounds_open", check->rounds_open},
        {"rounds_dead", check->rounds_dead},
        {"bytes_used", check->bytes_used},
        {"bytes_reached", check->bytes_reached},
        {"bytes_marked", check->bytes_marked},
        {"bytes_owned", check->bytes_owned},
        {"bytes_lost", check->bytes_lost},
        {"bytes_cut", check->bytes_cut},
        {"faults", faults},
    };
    struct json_object *root = json_object_new_object();
    struct json_object *kinds = json_object_new_object();
    struct json_object *databases = json_object_new_array();
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        json_object_object_add(root, numbers[i].name, json_object_new_uint64(numbers[i].number));
    }
    for (int kind = 0; kind < DM_FAULT_KINDS; kind++) {
        json_object_object_add(kinds, dm_fault_name((enum dm_fault_kind)kind),
                               json_object_new_uint64(check->faults[kind]));
    }
    for (uint32_t space = 0; space < DM_SPACES; space++) {
        json_object_array_add(databases, json_object_new_uint64(check->keys_by_space[space]));
    }
    json_object_object_add(root, "lost_judged", json_object_new_boolean(check->lost_judged));
    json_object_object_add(root, "keys_by_database", databases);
    json_object_object_add(root, "faults_by_kind", kinds);
    json_object_object_add(root, "fault_list", list);
    puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(root);
}

enum ctl_exit ctl_check(struct ctl *ctl) {
    struct dm_check check;
    struct checking checking = {.ctl = ctl, .faults = ctl->json ? json_object_new_array() : NULL};
    const struct dm_check_config config = {
        .patience_ns = ctl->patience_s * NS_PER_S, .fault = on_fault, .context = &checking};
    if (!ctl_open(ctl)) {
        json_object_put(checking.faults);
        return CTL_EXIT_FAILED;
    }
    enum dm_status status = dm_inspector_check(ctl->inspector, &config, &check);
    ctl_close(ctl);
    progress_clear(&ctl->progress);
    if (status != DM_OK) {
        ctl_say("the check has not come to its end: %s; see that all memory nodes run", dm_status_text(status));
        json_object_put(checking.faults);
        return CTL_EXIT_FAILED;
    }
    uint64_t faults = 0;
    for (int kind = 0; kind < DM_FAULT_KINDS; kind++) {
        faults += check.faults[kind];
    }
    if (ctl->json) {
        print_json(&check, faults, checking.faults);
    } else {
        print_text(&check, faults);
    }
    if (faults == 0) {
        return CTL_EXIT_OK;
    }
    return faults == check.faults[DM_FAULT_LOST] ? CTL_EXIT_LOST : CTL_EXIT_FAULTS;
}
