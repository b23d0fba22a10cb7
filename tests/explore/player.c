/* player.c: see player.h. */
#include "player.h"

#include <stdio.h>
#include <string.h>

#include "assert.h"

#define GIVE_UP_NS (UINT64_C(11000) * MS) /* more than a client waits for another */
#define STOP_TURNS_MAX 100000u

static uint16_t next_ordinal(struct client *client) {
    uint16_t ordinal = client->ordinal++;
    dm_assert(ordinal < EVENT_ORDINAL_MAX);
    return ordinal;
}

static bool is_audible(const struct call *call) { return call->kind != CALL_JOBS && call->kind != CALL_REPAIR; }

static struct call *call_of(struct client *client) { return &client->calls[client->call_next]; }

/* ---- Between two batches ---------------------------------------------------------------------------------------- */

static bool only_reads(const struct dm_batch *batch) {
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->ops[i].kind != DM_OP_READ) {
            return false;
        }
    }
    return true;
}

static struct range range_of(const struct flight *flight, uint32_t piece) {
    const struct dm_op *op = &flight->batch->ops[flight->pieces[piece].op];
    return (struct range){op->node, (uint32_t)op->remote + flight->pieces[piece].offset, flight->pieces[piece].length};
}

static bool is_watched(const struct client *client, struct range range) {
    for (uint32_t i = 0; i < client->watch_count; i++) {
        const struct range *own = &client->watches[i].range;
        if (own->node == range.node && own->offset == range.offset && own->length == range.length) {
            return true;
        }
    }
    return false;
}

/* Would the batch that it has posted after a sleep only show what it has seen before it? */
static bool looks_again(const struct client *client) {
    const struct flight *flight = &client->endpoint->flight;
    if (!only_reads(flight->batch)) {
        return false;
    }
    for (uint32_t i = 0; i < flight->count; i++) {
        if (!is_watched(client, range_of(flight, i))) {
            return false;
        }
    }
    return true;
}

/* The coroutine has stopped. What its next event is must follow from what the client has seen, not from when. */
static void settle(struct client *client, bool slept) {
    client->step++;
    if (client->endpoint->flight.batch == NULL) {
        client->turn = TURN_END;
        client->turn_ordinal = next_ordinal(client);
        return;
    }
    if (slept && looks_again(client)) {
        client->turn = TURN_WAIT;
        client->turn_ordinal = next_ordinal(client);
        client->step++;
    } else {
        client->turn = TURN_FLIGHT;
    }
    if (slept && client->turn != TURN_WAIT) {
        client->watch_count = 0;
    }
    client->first_piece = client->ordinal;
    client->ordinal = (uint16_t)(client->ordinal + client->endpoint->flight.count);
    dm_assert(client->ordinal < EVENT_ORDINAL_MAX);
}

static void note_change(struct world *world, const struct event *event) {
    const struct range *changed = &event->ranges[0];
    for (uint32_t c = 0; c < WORLD_OBSERVER; c++) {
        struct client *client = &world->clients[c];
        for (uint32_t i = 0; i < client->watch_count && c != event->client; i++) {
            const struct range *range = &client->watches[i].range;
            client->watches[i].changed |= range->node == changed->node &&
                                          range->offset < changed->offset + changed->length &&
                                          changed->offset < range->offset + range->length;
        }
    }
}

static void watch(struct client *client, const struct event *event) {
    if (client->watch_count == WORLD_WATCHES_MAX) {
        world_fault(client->world, "the explorer's limit: a client looks at more than %u places", WORLD_WATCHES_MAX);
        return;
    }
    client->watches[client->watch_count++] = (struct sight){event->ranges[0], false};
}

/* ---- Events ----------------------------------------------------------------------------------------------------- */

static void play_begin(struct client *client, struct event *event) {
    struct call *call = call_of(client);
    event->kind = EVENT_BEGIN;
    event->audible = is_audible(call);
    event->heals = call->kind == CALL_REPAIR;
    if (event->audible) {
        call->began_at = ++client->world->sequence;
    }
    client->watch_count = 0;
    client->effect_step = 0;
    world_spawn(client, call);
    settle(client, world_run_client(client));
}

static void play_end(struct client *client, struct event *event) {
    struct call *call = call_of(client);
    event->kind = EVENT_END;
    event->audible = is_audible(call);
    call->ended_at = event->audible ? ++client->world->sequence : 1;
    bool absent = call->status == DM_NOT_FOUND && (call->kind == CALL_GET || call->kind == CALL_DEL);
    bool unknown = call->status == DM_UNKNOWN_OUTCOME && client->world->crashed >= 0 && !client->world->repaired;
    client->world->repaired |= call->kind == CALL_REPAIR;
    if (call->status != DM_OK && !absent && !unknown) {
        world_fault(client->world, "%c's %s ends with: %s", "UVWX"[client->index], call_names[call->kind],
                    dm_status_text(call->status));
    }
    client->call_next++;
    client->step++;
    client->turn = TURN_OUT;
    if (client->call_next < client->call_count) {
        client->turn = TURN_BEGIN;
        client->turn_ordinal = next_ordinal(client);
    }
}

static void play_wake(struct client *client, struct event *event, bool times_out) {
    event->kind = times_out ? EVENT_TIMEOUT : EVENT_WAKE;
    event->range_count = (uint8_t)client->watch_count;
    for (uint32_t i = 0; i < client->watch_count; i++) {
        event->ranges[i] = client->watches[i].range;
    }
    event->step = (uint16_t)(client->step - 1);
    client->watch_count = 0;
    client->turn = TURN_FLIGHT;
    client->now_ns += times_out ? GIVE_UP_NS : 0;
}

static void play_piece(struct client *client, uint32_t piece, struct event *event) {
    struct flight *flight = &client->endpoint->flight;
    event->kind = EVENT_VERB;
    event->piece = (uint8_t)piece;
    bool reads = only_reads(flight->batch);
    flight_apply(client->endpoint, piece, event);
    if (event->changes) {
        client->effect_step = client->step;
        note_change(client->world, event);
    } else if (reads && flight->count <= WORLD_WATCHES_MAX / 2) { /* more is no look, but a repair's scan */
        watch(client, event);
    }
    if (flight_is_over(flight)) {
        if (!reads) {
            client->watch_count = 0;
        }
        flight_land(client->endpoint);
        settle(client, world_run_client(client));
    }
}

static void play_crash(struct client *client, struct event *event) {
    event->kind = EVENT_CRASH;
    event->step = client->effect_step;
    client->turn = TURN_DEAD;
    client->world->crashed = (int)client->index;
}

static bool has_changed(const struct client *client) {
    for (uint32_t i = 0; i < client->watch_count; i++) {
        if (client->watches[i].changed) {
            return true;
        }
    }
    return false;
}

void player_play(struct world *world, uint16_t id, struct event *event) {
    struct client *client = &world->clients[EVENT_CLIENT(id)];
    uint16_t ordinal = id & EVENT_ORDINAL_CRASH;
    event->id = id;
    event->client = (uint8_t)client->index;
    event->step = client->step;
    event->changes = false;
    event->audible = false;
    event->heals = false;
    event->behind = 0;
    event->piece = 0;
    event->range_count = 0;
    if (ordinal == EVENT_ORDINAL_CRASH) {
        play_crash(client, event);
    } else if (client->turn == TURN_FLIGHT) {
        play_piece(client, (uint32_t)ordinal - client->first_piece, event);
    } else {
        dm_assert(ordinal == client->turn_ordinal);
        switch (client->turn) {
        case TURN_BEGIN:
            play_begin(client, event);
            break;
        case TURN_END:
            play_end(client, event);
            break;
        default:
            dm_assert(client->turn == TURN_WAIT);
            play_wake(client, event, !has_changed(client));
            break;
        }
    }
    if (world->fabric->fault != NULL) {
        world_fault(world, "%s", world->fabric->fault);
    }
}

bool player_may_crash_behind(const struct world *world, const struct event *event) {
    if (!world->may_crash || world->crashed >= 0) {
        return false;
    }
    const struct client *client = &world->clients[event->client];
    return event->changes || (event->kind == EVENT_END && client->turn == TURN_BEGIN);
}

/* ---- What is possible ------------------------------------------------------------------------------------------- */

struct list {
    uint16_t *ids;
    uint32_t count;
};

static void add(struct list *list, const struct client *client, uint16_t ordinal) {
    dm_assert(list->count < PLAYER_POSSIBLE_MAX);
    list->ids[list->count++] = EVENT_ID(client->index, ordinal);
}

static void add_turns(struct world *world, enum turn turn, struct list *list) {
    for (uint32_t c = 0; c < WORLD_OBSERVER; c++) {
        const struct client *client = &world->clients[c];
        bool early = turn == TURN_BEGIN && client->calls[client->call_next].kind == CALL_REPAIR && world->crashed < 0;
        if (client->turn == turn && (turn != TURN_WAIT || has_changed(client)) && !early) {
            add(list, client, client->turn_ordinal);
        }
    }
}

static void add_pieces(const struct client *client, struct list *list) {
    const struct flight *flight = &client->endpoint->flight;
    for (uint32_t i = 0; client->turn == TURN_FLIGHT && i < flight->count; i++) {
        if (flight_is_possible(flight, i)) {
            add(list, client, (uint16_t)(client->first_piece + i));
        }
    }
}

/* Nobody can do anything: whoever waits for the dead gives up, one after the other. */
static void add_timeout(struct world *world, struct list *list) {
    for (uint32_t c = 0; c < WORLD_OBSERVER; c++) {
        const struct client *client = &world->clients[c];
        if (client->turn == TURN_WAIT) {
            if (world->crashed < 0 || world->repaired) {
                world_fault(world, "%c waits for ever", "UVWX"[c]);
                return;
            }
            add(list, client, client->turn_ordinal);
            return;
        }
    }
}

uint32_t player_possible(struct world *world, uint8_t last, uint16_t *ids) {
    struct list list = {ids, 0};
    add_turns(world, TURN_END, &list);
    add_turns(world, TURN_WAIT, &list);
    add_pieces(&world->clients[last], &list);
    for (uint32_t c = 0; c < WORLD_OBSERVER; c++) {
        if (c != last) {
            add_pieces(&world->clients[c], &list);
        }
    }
    add_turns(world, TURN_BEGIN, &list);
    if (list.count == 0) {
        add_timeout(world, &list);
    }
    for (uint32_t c = 0; c < WORLD_OBSERVER && world->may_crash && world->crashed < 0; c++) {
        const struct client *client = &world->clients[c];
        bool in_call = client->turn == TURN_FLIGHT || client->turn == TURN_WAIT || client->turn == TURN_END;
        bool between = client->turn == TURN_BEGIN && client->call_next > 0;
        if (list.count > 0 && ((in_call && client->effect_step != 0) || between)) {
            add(&list, client, EVENT_ORDINAL_CRASH);
        }
    }
    return list.count;
}

/* ---- Beginning and end ------------------------------------------------------------------------------------------ */

void player_start(struct world *world) {
    for (uint32_t c = 0; c < WORLD_OBSERVER; c++) {
        struct client *client = &world->clients[c];
        if (client->turn == TURN_OUT && client->call_count > 0) {
            client->endpoint->stepped = true;
            client->turn = TURN_BEGIN;
            client->turn_ordinal = next_ordinal(client);
        }
    }
}

static bool holds_swap(const struct dm_batch *batch) {
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->ops[i].kind == DM_OP_CAS) {
            return true;
        }
    }
    return false;
}

static void begin_alone(struct client *client) {
    struct event event;
    client->endpoint->stepped = true;
    client->turn = TURN_BEGIN;
    client->turn_ordinal = next_ordinal(client);
    player_play(client->world, EVENT_ID(client->index, client->turn_ordinal), &event);
}

/* Plays the first piece of the client's batch that is possible. */
static void step_alone(struct client *client) {
    struct event event;
    uint32_t piece = 0;
    dm_assert(client->turn == TURN_FLIGHT);
    while (!flight_is_possible(&client->endpoint->flight, piece)) {
        piece++;
    }
    player_play(client->world, EVENT_ID(client->index, client->first_piece + piece), &event);
}

void player_run_to_swap(struct client *client) {
    begin_alone(client);
    while (!holds_swap(client->endpoint->flight.batch)) {
        step_alone(client);
    }
}

void player_run_to_end(struct client *client) {
    struct event event;
    begin_alone(client);
    while (client->turn != TURN_END) {
        step_alone(client);
    }
    player_play(client->world, EVENT_ID(client->index, client->turn_ordinal), &event);
}

void player_stop(struct world *world) {
    world->quiet = true;
    for (uint32_t c = 0; c < WORLD_CLIENTS; c++) {
        struct client *client = &world->clients[c];
        step_endpoint_kill(client->endpoint);
        for (uint32_t turn = 0; dm_sched_alive(client->sched) != 0; turn++) {
            dm_assert(turn < STOP_TURNS_MAX);
            if (dm_sched_run(client->sched) == 0) {
                client->now_ns += dm_sched_next_ns(client->sched);
            }
        }
    }
}
