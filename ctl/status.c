/* status.c: `fusegate-ctl status`: how a pool is, for people and for programs. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "node_probe.h"
#include "storage_fabric.h"

#define MIB (UINT64_C(1) << 20)

struct node {
    const char *address;
    bool asked, reachable; /* over RDMA nobody is asked: the pool can be opened, or it cannot */
    struct node_state state;
    char error[256];
};

struct status {
    struct ctl *ctl;
    char memservers[sizeof((struct config *)NULL)->memservers]; /* cut into names */
    struct node nodes[DM_NODES_MAX];
    uint32_t node_count, nodes_down;
    bool opened;
    struct dm_pool_info pool;
    struct dm_usage usage;
    uint32_t dead, repairing;
};

/* ---- Reading ---------------------------------------------------------------------------------------------------- */

static void probe_nodes(struct status *status) {
    const struct config *config = &status->ctl->config;
    const char *names[DM_NODES_MAX];
    strcpy(status->memservers, config->memservers);
    status->node_count = storage_names_split(status->memservers, names);
    for (uint32_t i = 0; i < status->node_count; i++) {
        struct node *node = &status->nodes[i];
        node->address = names[i];
        node->asked = strcmp(config->fabric, "local") == 0;
        node->reachable = !node->asked || node_probe(names[i], &node->state, node->error, sizeof node->error);
        status->nodes_down += !node->reachable;
    }
}

static const char *member_state(const struct dm_member *member) {
    if (member->repairer != DM_CLIENT_NONE) {
        return "being repaired";
    }
    if (member->client.gone) {
        return "dead";
    }
    return member->client.announced != 0 ? "at work" : "idle";
}

static bool read_pool(struct status *status) {
    struct ctl *ctl = status->ctl;
    if (!ctl_members(ctl)) {
        return false;
    }
    enum dm_status read = dm_inspector_usage(ctl->inspector, &status->usage);
    progress_clear(&ctl->progress);
    if (read != DM_OK) {
        ctl_say("the blocks of the pool cannot be read: %s; see that all memory nodes run", dm_status_text(read));
        return false;
    }
    dm_pool_info(ctl->pool, &status->pool);
    for (uint32_t i = 0; i < ctl->member_count; i++) {
        status->dead += ctl->members[i].client.gone;
        status->repairing += ctl->members[i].repairer != DM_CLIENT_NONE;
    }
    return true;
}

/* ---- For people ------------------------------------------------------------------------------------------------- */

static void print_nodes(const struct status *status) {
    printf("memory nodes\n");
    for (uint32_t i = 0; i < status->node_count; i++) {
        const struct node *node = &status->nodes[i];
        if (!node->reachable) {
            printf("  %2" PRIu32 "  %-44s NOT REACHABLE: %s\n", i, node->address, node->error);
        } else if (!node->asked) {
            printf("  %2" PRIu32 "  %s\n", i, node->address);
        } else {
            printf("  %2" PRIu32 "  %-44s process %" PRIu32 ", %" PRIu64 " MiB, %" PRIu32 " gateways and tools\n", i,
                   node->address, node->state.process, node->state.memory_bytes / MIB, node->state.clients);
        }
    }
}

static void print_pool(const struct status *status) {
    const struct dm_pool_info *pool = &status->pool;
    const struct dm_usage *usage = &status->usage;
    printf("pool\n  id %016" PRIx64 ", version %s, fabric %s, %" PRIu32 " memory nodes, %" PRIu32 " replicas\n",
           pool->pool_id, DM_VERSION, status->ctl->config.fabric, pool->nodes, pool->replicas);
    printf("  %" PRIu32 " regions of %" PRIu64 " KiB, blocks of %" PRIu64 " KiB, %" PRIu32 " subtables, %" PRIu64
           " slots\n",
           pool->regions, pool->region_bytes / 1024, pool->block_bytes / 1024, pool->subtables, pool->slots_total);
    printf("  epoch %" PRIu64 " of reclamation, %" PRIu64 " of the region map; %" PRIu64 " repairs so far\n",
           usage->epoch, usage->map_epoch, usage->repairs);
    printf("memory\n  %" PRIu64 " MiB for data in %" PRIu64 " blocks: %" PRIu64 " free, %" PRIu64 " owned, %" PRIu64
           " without owner\n",
           pool->data_bytes_total / MIB, usage->blocks_total, usage->blocks_free, usage->blocks_owned,
           usage->blocks_orphaned);
    printf("  %" PRIu64 " bytes in free blocks, %" PRIu64 " noted as free in others\n",
           usage->blocks_free * usage->block_bytes, usage->bytes_marked);
}

static void print_databases(const struct status *status) {
    const struct dm_usage *usage = &status->usage;
    printf("databases\n ");
    uint32_t told = 0;
    for (uint32_t space = 0; space < DM_SPACES; space++) {
        if (usage->space_numbers[space] != space) {
            printf("%s %" PRIu32 " has number %u", told++ == 0 ? "" : ",", space, usage->space_numbers[space]);
        }
    }
    printf("%s%s%s\n", told == 0 ? " never flushed or swapped" : "",
           usage->space_changing ? "; a flush or swap is under way" : "",
           usage->space_purging ? "; what a flush left is being removed" : "");
}

static void print_clients(const struct status *status) {
    const struct ctl *ctl = status->ctl;
    printf("clients (%" PRIu32 " of %" PRIu32 " records)\n", ctl->member_count, status->usage.clients_max);
    if (ctl->member_count != 0) {
        printf("  %6s  %-16s  %-14s  %10s  %8s\n", "client", "gateway", "state", "epoch", "lease");
    }
    for (uint32_t i = 0; i < ctl->member_count; i++) {
        const struct dm_member *member = &ctl->members[i];
        char name[CTL_NAME_BYTES];
        char epoch[24] = "-";
        char lease[24] = "none";
        if (member->client.announced != 0) {
            snprintf(epoch, sizeof epoch, "%" PRIu64, member->client.announced - 1);
        }
        if (member->lease_ms != 0) {
            snprintf(lease, sizeof lease, "%" PRIu32 " ms", member->lease_ms);
        }
        printf("  %6" PRIu32 "  %-16s  %-14s  %10s  %8s", member->client.client, ctl_gateway_name(member, name),
               member_state(member), epoch, lease);
        if (member->repairer != DM_CLIENT_NONE) {
            printf("  by client %" PRIu32, member->repairer);
        }
        printf("\n");
    }
    if (status->dead != 0) {
        printf("%" PRIu32 " dead, %" PRIu32 " of them being repaired: any gateway does it by itself within a second; "
               "fusegate-ctl repair does it now\n",
               status->dead, status->repairing);
    }
}

/* ---- For programs ----------------------------------------------------------------------------------------------- */

static void add_number(struct json_object *object, const char *name, uint64_t number) {
    json_object_object_add(object, name, json_object_new_uint64(number));
}
static void add_text(struct json_object *object, const char *name, const char *text) {
    json_object_object_add(object, name, json_object_new_string(text));
}
static void add_truth(struct json_object *object, const char *name, bool truth) {
    json_object_object_add(object, name, json_object_new_boolean(truth));
}

static struct json_object *nodes_json(const struct status *status) {
    struct json_object *nodes = json_object_new_array();
    for (uint32_t i = 0; i < status->node_count; i++) {
        const struct node *node = &status->nodes[i];
        struct json_object *one = json_object_new_object();
        add_text(one, "address", node->address);
        add_truth(one, "reachable", node->reachable);
        if (!node->reachable) {
            add_text(one, "error", node->error);
        } else if (node->asked) {
            add_number(one, "process", node->state.process);
            add_number(one, "memory_bytes", node->state.memory_bytes);
            add_number(one, "connections", node->state.connections);
            add_number(one, "connections_max", node->state.connections_max);
            add_number(one, "clients", node->state.clients);
        }
        json_object_array_add(nodes, one);
    }
    return nodes;
}

static struct json_object *clients_json(const struct status *status) {
    struct json_object *clients = json_object_new_array();
    for (uint32_t i = 0; i < status->ctl->member_count; i++) {
        const struct dm_member *member = &status->ctl->members[i];
        struct json_object *one = json_object_new_object();
        char name[CTL_NAME_BYTES];
        add_number(one, "client", member->client.client);
        add_text(one, "gateway", ctl_gateway_name(member, name));
        add_text(one, "state", member_state(member));
        add_truth(one, "dead", member->client.gone);
        add_number(one, "lease_ms", member->lease_ms);
        if (member->client.announced != 0) {
            add_number(one, "epoch", member->client.announced - 1);
        }
        if (member->repairer != DM_CLIENT_NONE) {
            add_number(one, "repairer", member->repairer);
        }
        json_object_array_add(clients, one);
    }
    return clients;
}

static void add_pool(struct json_object *root, const struct status *status) {
    const struct dm_pool_info *info = &status->pool;
    const struct dm_usage *usage = &status->usage;
    struct json_object *pool = json_object_new_object();
    struct json_object *memory = json_object_new_object();
    struct json_object *databases = json_object_new_array();
    char id[17];
    snprintf(id, sizeof id, "%016" PRIx64, info->pool_id);
    add_text(pool, "id", id);
    add_text(pool, "version", DM_VERSION);
    add_text(pool, "fabric", status->ctl->config.fabric);
    add_number(pool, "nodes", info->nodes);
    add_number(pool, "replicas", info->replicas);
    add_number(pool, "regions", info->regions);
    add_number(pool, "region_bytes", info->region_bytes);
    add_number(pool, "block_bytes", info->block_bytes);
    add_number(pool, "subtables", info->subtables);
    add_number(pool, "slots", info->slots_total);
    add_number(pool, "epoch", usage->epoch);
    add_number(pool, "map_epoch", usage->map_epoch);
    add_number(pool, "repairs", usage->repairs);
    add_number(pool, "clients_max", usage->clients_max);
    add_number(memory, "data_bytes", info->data_bytes_total);
    add_number(memory, "blocks", usage->blocks_total);
    add_number(memory, "blocks_free", usage->blocks_free);
    add_number(memory, "blocks_owned", usage->blocks_owned);
    add_number(memory, "blocks_without_owner", usage->blocks_orphaned);
    add_number(memory, "free_bytes", usage->blocks_free * usage->block_bytes);
    add_number(memory, "marked_bytes", usage->bytes_marked);
    for (uint32_t space = 0; space < DM_SPACES; space++) {
        struct json_object *one = json_object_new_object();
        add_number(one, "database", space);
        add_number(one, "number", usage->space_numbers[space]);
        json_object_array_add(databases, one);
    }
    json_object_object_add(root, "pool", pool);
    json_object_object_add(root, "memory", memory);
    json_object_object_add(root, "databases", databases);
    add_truth(root, "database_change", usage->space_changing);
    add_truth(root, "flush_cleanup", usage->space_purging);
    json_object_object_add(root, "clients", clients_json(status));
    add_number(root, "dead_clients", status->dead);
    add_number(root, "open_repairs", status->repairing);
}

static void print_json(const struct status *status) {
    struct json_object *root = json_object_new_object();
    json_object_object_add(root, "memory_nodes", nodes_json(status));
    add_number(root, "memory_nodes_down", status->nodes_down);
    if (status->opened) {
        add_pool(root, status);
    }
    puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(root);
}

/* ----------------------------------------------------------------------------------------------------------------- */

enum ctl_exit ctl_status(struct ctl *ctl) {
    static struct status status;
    status.ctl = ctl;
    probe_nodes(&status);
    if (!ctl->json) {
        print_nodes(&status);
        fflush(stdout);
    }
    bool open = ctl_open(ctl);
    status.opened = open && read_pool(&status);
    if (ctl->json) {
        print_json(&status);
    } else if (status.opened) {
        print_pool(&status);
        print_databases(&status);
        print_clients(&status);
    }
    if (open) {
        ctl_close(ctl);
    }
    if (status.nodes_down != 0 || status.dead != 0) {
        return CTL_EXIT_ATTENTION;
    }
    return status.opened ? CTL_EXIT_OK : CTL_EXIT_FAILED;
}
