/* program.c: reads programs and carries their preparation out. See program.h. */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "fusee/session.h"
#include "player.h"

#define WORDS_MAX 5u
#define TEXT_MAX 160u
#define LIFE_MS 1000
#define PASS_NS (30 * MS)
#define PASSES_MAX 4000u

/* A statement, cut into words. */
struct statement {
    char text[TEXT_MAX];
    char *words[WORDS_MAX];
    uint32_t count;
};

static _Noreturn void refuse(const char *text) {
    fprintf(stderr, "explore: cannot read \"%s\"\n", text);
    abort();
}

/* Takes the next statement from *text; false at the end. */
static bool statement_next(const char **text, struct statement *out) {
    while (**text == ';' || **text == ' ') {
        (*text)++;
    }
    size_t length = strcspn(*text, ";");
    if (length == 0) {
        return false;
    }
    if (length >= sizeof out->text) {
        refuse(*text);
    }
    memcpy(out->text, *text, length);
    out->text[length] = 0;
    *text += length;
    out->count = 0;
    char *rest = out->text;
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        if (*word != 0) {
            if (out->count == WORDS_MAX) {
                refuse(out->text);
            }
            out->words[out->count++] = word;
        }
    }
    return true;
}

/* "SET k 100 EX": words [from, count). */
static struct call read_call(const struct world *world, const struct statement *statement, uint32_t from) {
    struct call call = {.kind = CALL_KIND_COUNT};
    for (uint32_t i = 0; i < CALL_KIND_COUNT && from < statement->count; i++) {
        call.kind = strcmp(statement->words[from], call_names[i]) == 0 ? (uint8_t)i : call.kind;
    }
    if (call.kind == CALL_KIND_COUNT) {
        refuse(statement->words[0]);
    }
    if (call.kind != CALL_JOBS && call.kind != CALL_REPAIR) {
        const char *key = from + 1 < statement->count ? statement->words[from + 1] : "";
        if (*key == 0 || strchr("krt", *key) == NULL) {
            refuse(statement->words[0]);
        }
        call.key = (uint8_t)(*key == 'k' ? 0 : *key == 'r' ? 1 : 2);
    }
    if (from + 2 < statement->count) {
        call.number = strtoull(statement->words[from + 2], NULL, 10);
    }
    if (from + 3 < statement->count) {
        call.expire_ms = world->wall_ms + LIFE_MS;
    }
    return call;
}

/* ---- Preparation ------------------------------------------------------------------------------------------------ */

/* The word that stands for k in the primary, and nothing else. */
static uint64_t word_of_k(const struct world *world) {
    struct dm_key key = {world->keys[0], (uint32_t)strlen(world->keys[0]), 0};
    uint64_t hash = index_hash(&key, world->clients[0].pool->hash_seed);
    struct index_place place = index_place(hash);
    for (uint32_t i = 0; i < INDEX_COMBINED_SLOTS * 2; i++) {
        uint16_t slot = (uint16_t)(place.first_slot[i / INDEX_COMBINED_SLOTS] + i % INDEX_COMBINED_SLOTS);
        uint64_t word = world_word(world, world_slot(world, slot), 0);
        if (word_is_live(word) && word_fingerprint(word) == index_fingerprint(hash)) {
            return word;
        }
    }
    return 0;
}

/* Epochs go by, and nobody falls asleep, until U's next object gets the tag of the word that was marked. */
static void pass_to_tag(struct world *world) {
    const struct dm_session *session = world->clients[0].session;
    for (uint32_t i = 0; i < 2 || (session->epoch & WORD_TAG_MASK) != word_tag(world->marked); i++) {
        dm_assert(i < PASSES_MAX);
        for (uint32_t c = 0; c < WORLD_CLIENTS; c++) {
            struct call call = {.kind = CALL_GET, .key = WORLD_KEYS - 1};
            world_call(&world->clients[c], &call);
        }
        world_pass(world, PASS_NS);
    }
}

static void prepare_world(struct world *world, const struct statement *statement) {
    const char *word = statement->words[0];
    if (strcmp(word, "pass") == 0) {
        world_pass(world, PASS_NS);
    } else if (strcmp(word, "expire") == 0) {
        world->wall_ms += LIFE_MS * 2;
    } else if (strcmp(word, "rival") == 0) {
        world_name_rival(world, 1);
    } else if (strcmp(word, "twin") == 0) {
        world_name_twin(world, 2);
    } else if (strcmp(word, "mark") == 0) {
        world->marked = word_of_k(world);
    } else if (strcmp(word, "tag-again") == 0) {
        pass_to_tag(world);
    } else if (strcmp(word, "same") == 0) {
        if (word_of_k(world) != world->marked) {
            world_fault(world, "the preparation does not bring the word back");
        }
    } else {
        refuse(word);
    }
}

/* A call of one client to its end; in the prefix X's calls belong to the history. */
static void make_call(struct world *world, struct client *client, struct call call, bool heard) {
    struct call *kept = &call;
    if (heard && call.kind != CALL_JOBS && client->index == WORLD_OBSERVER) {
        dm_assert(client->call_count < WORLD_CALLS_MAX);
        kept = &client->calls[client->call_count++];
        *kept = call;
        kept->began_at = ++world->sequence;
    }
    world_call(client, kept);
    if (kept->status != DM_OK) {
        world_fault(world, "the preparation's %s ends with: %s", call_names[call.kind], dm_status_text(kept->status));
    }
    if (kept != &call) {
        kept->ended_at = ++world->sequence;
    }
}

static void prepare(struct world *world, const char *text, bool heard) {
    struct statement statement;
    while (statement_next(&text, &statement)) {
        const char *who = statement.words[0];
        const char *at = strlen(who) == 1 ? strchr("uvwx", *who) : NULL;
        if (at == NULL) {
            prepare_world(world, &statement);
            continue;
        }
        uint32_t index = *who == 'x' ? WORLD_OBSERVER : (uint32_t)(*who - 'u');
        struct client *client = &world->clients[index];
        if (statement.count == 2 && strcmp(statement.words[1], "to-swap") == 0) {
            player_run_to_swap(client);
        } else if (statement.count == 2 && strcmp(statement.words[1], "run") == 0) {
            player_run_to_end(client);
        } else {
            make_call(world, client, read_call(world, &statement, 1), heard);
        }
    }
}

/* What the keys hold now, as X sees it. */
static void note_initial(struct world *world) {
    for (uint8_t key = 0; key < WORLD_KEYS; key++) {
        struct call call = {.kind = CALL_GET, .key = key};
        if (world->keys[key][0] != 0) {
            world_call(&world->clients[WORLD_OBSERVER], &call);
            world->initial[key] = call.seen;
        }
    }
}

void program_set_up(const struct program *program, struct world *world) {
    if (program->setup != NULL) {
        prepare(world, program->setup, false);
    }
    note_initial(world);
    for (uint32_t c = 0; c < PROGRAM_CLIENTS; c++) {
        const char *text = program->calls[c] == NULL ? "" : program->calls[c];
        struct client *client = &world->clients[c];
        struct statement statement;
        while (statement_next(&text, &statement)) {
            dm_assert(client->call_count < WORLD_CALLS_MAX);
            client->calls[client->call_count++] = read_call(world, &statement, 0);
        }
    }
    world->fabric->torn = program->torn;
}

void program_start(const struct program *program, struct world *world) {
    if (program->prefix != NULL) {
        prepare(world, program->prefix, true);
    }
    player_start(world);
}

bool program_pair(const struct program *program, uint32_t number, struct program *out, char *name) {
    static const char *const calls[2][PROGRAM_PAIR_CALLS] = {
        {"SET k 100", "INCR k", "DEL k; JOBS", "GETDEL k; JOBS", "SETNX k 100", "GETSET k 100", "GET k"},
        {"SET k 200", "INCR k", "DEL k; JOBS", "GETDEL k; JOBS", "SETNX k 200", "GETSET k 200", "GET k"},
    };
    if (number >= PROGRAM_PAIR_CALLS * PROGRAM_PAIR_CALLS) {
        return false;
    }
    *out = *program;
    out->calls[0] = calls[0][number / PROGRAM_PAIR_CALLS];
    out->calls[1] = calls[1][number % PROGRAM_PAIR_CALLS];
    snprintf(name, PROGRAM_NAME_MAX, "%s: %s | %s", program->name, out->calls[0], out->calls[1]);
    out->name = name;
    return true;
}
