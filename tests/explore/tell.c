/* tell.c: see tell.h. */
#include "tell.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fusee/session.h"

static const char client_names[] = "UVWX";
static const char *const replica_names[] = {"P", "B1", "B2", "B3"};
static const char *const kind_names[] = {"empty", "blind", "rmw", "tombstone", "provisional"};
static const char *const event_names[] = {"begins", "verb", "looks again", "gives up", "ends", "dies"};

static void print_word(uint64_t word) {
    if (word == 0) {
        printf("0");
    } else if (word_is_known(word)) {
        printf("%s@%" PRIx64 "#%u", kind_names[word_kind(word)], word_address(word), word_tag(word));
    } else {
        printf("%016" PRIx64, word);
    }
}

void tell_begin(const struct world *world) {
    for (uint32_t key = 0; key < WORLD_KEYS; key++) {
        const char *name = world->keys[key];
        struct dm_key at = {name, (uint32_t)strlen(name), 0};
        if (at.length != 0) {
            struct index_place place = index_place(index_hash(&at, world->clients[0].pool->hash_seed));
            printf("  key %c is \"%s\", slots from %u and %u, at first %" PRIu64 "\n", "krt"[key], name,
                   place.first_slot[0], place.first_slot[1], world->initial[key]);
        }
    }
}

/* Prints where a verb goes: a slot of a replica, or some other place. */
static void print_place(const struct world *world, const struct dm_op *op) {
    struct location slots[STEP_NODES_MAX];
    for (uint32_t j = 0; j < world->replicas; j++) {
        slots[j] = layout_locate(&world->clients[0].pool->layout, world_slot(world, 0), j);
        uint64_t offset = op->remote - slots[j].offset;
        if (op->node == slots[j].node && offset < INDEX_SLOTS * sizeof(uint64_t)) {
            printf("%-2s slot %" PRIu64, replica_names[j], offset / sizeof(uint64_t));
            return;
        }
    }
    printf("node %u at %" PRIx64, op->node, op->remote);
}

static void tell_piece(const struct world *world, const struct client *client, uint32_t index) {
    static const char *const verbs[] = {"READ", "WRITE", "CAS", "FAA"};
    const struct flight *flight = &client->endpoint->flight;
    const struct piece *piece = &flight->pieces[index];
    const struct dm_op *op = &flight->batch->ops[piece->op];
    uint64_t found;
    memcpy(&found, world->fabric->memory[op->node] + op->remote, sizeof found);
    printf("%-5s ", verbs[op->kind]);
    print_place(world, op);
    if (piece->length != op->length) {
        printf(" bytes %u-%u", piece->offset, piece->offset + piece->length - 1);
    }
    if (op->kind == DM_OP_CAS) {
        printf("  ");
        print_word(op->compare);
        printf(" -> ");
        print_word(op->operand);
        printf("  finds ");
        print_word(found);
        printf("%s", found == op->compare ? "" : " (no)");
    } else if (op->kind == DM_OP_READ && op->length == sizeof found) {
        printf("  finds ");
        print_word(found);
    } else {
        printf(" +%u", op->length);
    }
}

void tell_event(const struct world *world, uint16_t id) {
    const struct client *client = &world->clients[EVENT_CLIENT(id)];
    const struct call *call = &client->calls[client->call_next];
    printf("  %c  ", client_names[client->index]);
    if ((id & EVENT_ORDINAL_CRASH) == EVENT_ORDINAL_CRASH) {
        printf("dies");
    } else if (client->turn == TURN_FLIGHT) {
        tell_piece(world, client, (uint32_t)(id & EVENT_ORDINAL_CRASH) - client->first_piece);
    } else if (client->turn == TURN_BEGIN) {
        printf("begins %s %c", call_names[call->kind], "krt"[call->key]);
        if (call->number != 0) {
            printf(" %" PRIu64, call->number);
        }
    } else if (client->turn == TURN_END) {
        printf("ends %s: %s, saw %" PRIu64, call_names[call->kind], dm_status_text(call->status), call->seen);
    } else {
        printf("looks again");
    }
    printf("\n");
}

void tell_past(const struct event *event) {
    printf("  %c  %s", client_names[event->client], event_names[event->kind]);
    if (event->kind == EVENT_VERB) {
        printf(" node %u at %x +%u%s", event->ranges[0].node, event->ranges[0].offset, event->ranges[0].length,
               event->changes ? ", changes it" : "");
    }
    printf("\n");
}
