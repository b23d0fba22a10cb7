/* rdma_setting.c: see rdma_setting.h. */
#include "rdma_setting.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "setting.h"

#define SECRET_BYTES_MIN 16
#define SECRET_BYTES_MAX 256
#define TEXT(member) true, offsetof(struct rdma_setting, member), sizeof(((struct rdma_setting *)NULL)->member)
#define NUMBER(member) false, offsetof(struct rdma_setting, member), sizeof(((struct rdma_setting *)NULL)->member)

static const struct rdma_key keys[] = {
    {"secret_file", TEXT(secret_file), 0, 0, "", NULL,
     "file with the secret that gateways and memory nodes share, 16 to 256 bytes"},
    {"pool", TEXT(pool), 0, 0, "", NULL, "name of the pool: gateways of another one are refused"},
    {"device", TEXT(device), 0, 0, "", NULL, "the only RDMA device that may be used; empty = the route's"},
    {"port", NUMBER(port), 0, 255, "0", NULL, "port of the device; 0 = the route's"},
    {"gid_index", NUMBER(gid_index), -1, 255, "-1", NULL, "GID of the port; -1 = the one of the route's address"},
    {"mtu", NUMBER(mtu), 0, 4096, "0", NULL, "256, 512, 1024, 2048 or 4096 at most; 0 = the path's"},
    {"traffic_class", NUMBER(traffic_class), -1, 255, "-1", NULL, "ToS of RoCE packets (DSCP * 4); -1 = 0"},
    {"service_level", NUMBER(service_level), -1, 15, "-1", NULL, "InfiniBand's service level; -1 = the route's"},
    {"timeout", NUMBER(timeout), 0, 31, "0", NULL,
     "an unanswered packet is sent again after 4.096 us * 2^timeout; 0 = what suits the device (14, Soft-RoCE 18)"},
    {"retry_count", NUMBER(retry_count), -1, 7, "-1", NULL,
     "... so many times, then the connection is broken; -1 = what suits the device (7, Soft-RoCE 4)"},
    {"rnr_retry", NUMBER(rnr_retry), 0, 7, "6", NULL, "resends to a receiver that is not ready; 7 = for ever"},
    {"memory_windows", TEXT(memory_windows), 1, 0, "yes", "yes no",
     "memory node: memory windows where the device has them; no = a protection domain for each gateway"},
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

const struct rdma_key *rdma_keys(size_t *count) {
    *count = KEY_COUNT;
    return keys;
}

static bool word_allowed(const char *choices, const char *word) {
    const size_t length = strlen(word);
    if (length == 0 || strchr(word, ' ') != NULL) /* one of the words, not several */
        return false;
    for (const char *at = choices; (at = strstr(at, word)) != NULL; at++)
        if ((at == choices || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static bool key_set(struct rdma_setting *setting, const struct rdma_key *key, const char *value) {
    char *member = (char *)setting + key->offset;
    int64_t number;
    if (key->text) {
        const size_t length = strlen(value);
        if (length >= key->bytes || (int64_t)length < key->minimum ||
            (key->choices && !word_allowed(key->choices, value)))
            return false;
        memcpy(member, value, length + 1);
        return true;
    }
    if (!setting_integer_parse(value, key->minimum, key->maximum, &number))
        return false;
    const int32_t narrow = (int32_t)number; /* signed or not: the same bytes */
    memcpy(member, &narrow, sizeof narrow);
    return true;
}

bool rdma_setting_set(struct rdma_setting *setting, const char *name, const char *value, char *cause,
                      size_t cause_bytes) {
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const struct rdma_key *key = &keys[i];
        if (strcmp(key->name, name) != 0)
            continue;
        if (key_set(setting, key, value))
            return true;
        if (key->choices)
            snprintf(cause, cause_bytes, "rdma.%s: invalid value '%.120s'; allowed: %s", name, value, key->choices);
        else if (key->text)
            snprintf(cause, cause_bytes, "rdma.%s: invalid value '%.120s'; allowed: at most %zu bytes", name, value,
                     key->bytes - 1);
        else
            snprintf(cause, cause_bytes,
                     "rdma.%s: invalid value '%.120s'; allowed: a whole number from %" PRId64 " to %" PRId64, name,
                     value, key->minimum, key->maximum);
        return false;
    }
    snprintf(cause, cause_bytes, "unknown key rdma.%.60s; --help lists all", name);
    return false;
}

void rdma_setting_defaults(struct rdma_setting *setting) {
    memset(setting, 0, sizeof *setting);
    for (size_t i = 0; i < KEY_COUNT; i++)
        (void)key_set(setting, &keys[i], keys[i].default_text);
}

/* The file's content without the end of its last line. Returns its length; 0 with a message. */
static uint32_t secret_read(const char *path, uint8_t secret[256], char *error, size_t error_bytes) {
    uint8_t text[SECRET_BYTES_MAX + 3]; /* what is too long shows */
    struct stat file;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = descriptor < 0 ? -1 : read(descriptor, text, sizeof text);
    if (length < 0 || fstat(descriptor, &file) != 0) {
        snprintf(error, error_bytes, "rdma.secret_file %.200s: cannot read it: %s", path, strerror(errno));
        length = 0;
        goto out;
    }
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        length--;
    if (length < SECRET_BYTES_MIN || length > SECRET_BYTES_MAX) {
        snprintf(
            error, error_bytes,
            "rdma.secret_file %.200s: the secret has %s%zd bytes, it must have %d to %d; make one with: umask 077; "
            "head -c 32 /dev/urandom | base64 > FILE",
            path, length > SECRET_BYTES_MAX ? "more than the most, " : "", length, SECRET_BYTES_MIN, SECRET_BYTES_MAX);
        length = 0;
    } else if (file.st_mode & S_IWOTH) {
        snprintf(error, error_bytes, "rdma.secret_file %.200s: everybody may write it; chmod 600 it", path);
        length = 0;
    } else {
        memcpy(secret, text, (size_t)length);
    }
out:
    explicit_bzero(text, sizeof text);
    if (descriptor >= 0)
        close(descriptor);
    return (uint32_t)length;
}

bool rdma_setting_apply(const struct rdma_setting *setting, struct dm_verbs_config *config, uint8_t secret[256],
                        char *error, size_t error_bytes) {
    dm_verbs_config_init(config);
    if (setting->secret_file[0] == '\0') {
        snprintf(
            error, error_bytes,
            "no secret: set rdma.secret_file, on all gateways and memory nodes, to a file with the same content (make "
            "it with: umask 077; head -c 32 /dev/urandom | base64 > FILE)");
        return false;
    }
    config->secret_bytes = secret_read(setting->secret_file, secret, error, error_bytes);
    if (config->secret_bytes == 0)
        return false;
    config->secret = secret;
    config->pool = setting->pool;
    config->device = setting->device;
    config->port = setting->port;
    config->mtu = setting->mtu;
    config->timeout = setting->timeout;
    config->retry_count = setting->retry_count;
    config->rnr_retry = setting->rnr_retry;
    config->gid_index = setting->gid_index;
    config->traffic_class = setting->traffic_class;
    config->service_level = setting->service_level;
    config->no_windows = strcmp(setting->memory_windows, "no") == 0;
    return true;
}
