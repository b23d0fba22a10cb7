/* etcd_client.c: see etcd_client.h. */
#include "etcd_client.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 300L
#define CALL_TIMEOUT_MS 500L /* an election in etcd takes longer: it is asked again */
#define ANSWER_BYTES_MAX (1u << 20)
#define URL_BYTES_MAX 256u
#define BASE64_BYTES(bytes) (((bytes) + 2) / 3 * 4 + 1)

struct etcd_client {
    CURL *curl;
    struct curl_slist *headers;
    char endpoints[ETCD_ENDPOINTS_MAX][URL_BYTES_MAX];
    uint32_t count, current;
    char *answer;
    size_t answer_bytes;
    char error[256];
};

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

static bool library_opened;

static void library_open_once(void) { library_opened = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK; }

bool etcd_library_open(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    return pthread_once(&once, library_open_once) == 0 && library_opened;
}

static bool endpoints_split(struct etcd_client *client, const char *endpoints) {
    for (const char *at = endpoints; *at != '\0';) {
        at += strspn(at, " \t,");
        size_t length = strcspn(at, " \t,");
        if (length == 0) {
            break;
        }
        bool known = strncmp(at, "http://", strlen("http://")) == 0 || strncmp(at, "https://", strlen("https://")) == 0;
        if (!known || length >= URL_BYTES_MAX || client->count == ETCD_ENDPOINTS_MAX) {
            return false;
        }
        snprintf(client->endpoints[client->count++], URL_BYTES_MAX, "%.*s", (int)length, at);
        at += length;
    }
    return client->count > 0;
}

struct etcd_client *etcd_open(const char *endpoints, char *error, size_t error_bytes) {
    struct etcd_client *client = calloc(1, sizeof *client);
    if (client != NULL && !endpoints_split(client, endpoints)) {
        snprintf(error, error_bytes,
                 "[coordinator] etcd = '%.100s': must be 1 to %u of http://host:port or https://host:port, separated "
                 "by commas",
                 endpoints, ETCD_ENDPOINTS_MAX);
        free(client);
        return NULL;
    }
    if (client != NULL) {
        client->answer = malloc(ANSWER_BYTES_MAX);
        client->curl = etcd_library_open() ? curl_easy_init() : NULL;
        client->headers = curl_slist_append(NULL, "Content-Type: application/json");
    }
    if (client == NULL || client->answer == NULL || client->curl == NULL || client->headers == NULL) {
        snprintf(error, error_bytes, "no memory for a connection to etcd");
        if (client != NULL) {
            etcd_close(client);
        }
        return NULL;
    }
    return client;
}

void etcd_close(struct etcd_client *client) {
    if (client->curl != NULL) {
        curl_easy_cleanup(client->curl);
    }
    curl_slist_free_all(client->headers);
    free(client->answer);
    free(client);
}

const char *etcd_error(const struct etcd_client *client) { return client->error; }

/* ---- Calls ------------------------------------------------------------------------------------------------------ */

static size_t on_answer(char *bytes, size_t size, size_t count, void *context) {
    struct etcd_client *client = context;
    if (size * count > ANSWER_BYTES_MAX - 1 - client->answer_bytes) {
        return 0;
    }
    memcpy(client->answer + client->answer_bytes, bytes, size * count);
    client->answer_bytes += size * count;
    return size * count;
}

/* One endpoint; NULL: it has not answered, or not with JSON. */
static struct json_object *post(struct etcd_client *client, uint32_t endpoint, const char *path, const char *body) {
    char url[URL_BYTES_MAX + 64];
    long code = 0;
    snprintf(url, sizeof url, "%s%s", client->endpoints[endpoint], path);
    client->answer_bytes = 0;
    curl_easy_reset(client->curl); /* keeps connections */
    curl_easy_setopt(client->curl, CURLOPT_URL, url);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, client->headers);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, client);
    curl_easy_setopt(client->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, CALL_TIMEOUT_MS);
    curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L); /* threads */
    curl_easy_setopt(client->curl, CURLOPT_NOPROXY, "*");
    CURLcode sent = curl_easy_perform(client->curl);
    if (sent != CURLE_OK) {
        snprintf(client->error, sizeof client->error, "%s: %s", client->endpoints[endpoint], curl_easy_strerror(sent));
        return NULL;
    }
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &code);
    client->answer[client->answer_bytes] = '\0';
    struct json_object *answer = json_tokener_parse(client->answer);
    if (answer == NULL || (code != 200 && code != 404)) { /* 404: no such lease */
        snprintf(client->error, sizeof client->error, "%s: answer %ld: %.100s", client->endpoints[endpoint], code,
                 client->answer);
        json_object_put(answer);
        return NULL;
    }
    return answer;
}

/* Takes the request over. NULL: nobody has answered. */
static struct json_object *call(struct etcd_client *client, const char *path, struct json_object *request) {
    struct json_object *answer = NULL;
    const char *body = json_object_to_json_string(request);
    for (uint32_t i = 0; i < client->count && answer == NULL; i++) {
        answer = post(client, client->current, path, body);
        client->current = answer == NULL ? (client->current + 1) % client->count : client->current;
    }
    json_object_put(request);
    return answer;
}

static struct json_object *member_of(struct json_object *object, const char *name) {
    struct json_object *member = NULL;
    return object != NULL && json_object_object_get_ex(object, name, &member) ? member : NULL;
}

/* 64-bit numbers come as texts. */
static int64_t number_of(struct json_object *object, const char *name) {
    struct json_object *member = member_of(object, name);
    return member == NULL ? 0 : json_object_get_int64(member);
}

static void add_base64(struct json_object *object, const char *name, const char *text, size_t length) {
    char coded[BASE64_BYTES(ETCD_KEY_BYTES_MAX > ETCD_VALUE_BYTES_MAX ? ETCD_KEY_BYTES_MAX : ETCD_VALUE_BYTES_MAX)];
    EVP_EncodeBlock((unsigned char *)coded, (const unsigned char *)text, (int)length);
    json_object_object_add(object, name, json_object_new_string(coded));
}

static void add_lease(struct json_object *object, const char *name, int64_t lease) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, lease);
    json_object_object_add(object, name, json_object_new_string(text));
}

/* Undoes base64; false: it is none, or too long. */
static bool text_of(struct json_object *object, const char *name, char *out, size_t out_bytes) {
    struct json_object *member = member_of(object, name);
    const char *coded = member == NULL ? "" : json_object_get_string(member);
    size_t length = strlen(coded);
    if (length % 4 != 0 || length / 4 * 3 >= out_bytes) {
        return false;
    }
    int bytes = length == 0 ? 0 : EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)coded, (int)length);
    size_t padding = length == 0 ? 0 : (size_t)(coded[length - 1] == '=') + (coded[length - 2] == '=');
    if (bytes < 0) {
        return false;
    }
    out[(size_t)bytes - padding] = '\0';
    return true;
}

/* ---- Leases ----------------------------------------------------------------------------------------------------- */

enum etcd_result etcd_lease_grant(struct etcd_client *client, uint32_t ttl_s, int64_t *lease) {
    struct json_object *request = json_object_new_object();
    json_object_object_add(request, "TTL", json_object_new_int64(ttl_s));
    struct json_object *answer = call(client, "/v3/lease/grant", request);
    *lease = number_of(answer, "ID");
    json_object_put(answer);
    return *lease != 0 ? ETCD_OK : ETCD_FAILED;
}

enum etcd_result etcd_lease_keep(struct etcd_client *client, int64_t lease) {
    struct json_object *request = json_object_new_object();
    add_lease(request, "ID", lease);
    struct json_object *answer = call(client, "/v3/lease/keepalive", request);
    struct json_object *result = member_of(answer, "result");
    enum etcd_result kept = result == NULL ? ETCD_FAILED : number_of(result, "TTL") > 0 ? ETCD_OK : ETCD_NO;
    json_object_put(answer);
    return kept;
}

enum etcd_result etcd_lease_revoke(struct etcd_client *client, int64_t lease) {
    struct json_object *request = json_object_new_object();
    add_lease(request, "ID", lease);
    struct json_object *answer = call(client, "/v3/lease/revoke", request);
    enum etcd_result result = answer == NULL ? ETCD_FAILED : member_of(answer, "header") != NULL ? ETCD_OK : ETCD_NO;
    json_object_put(answer);
    return result;
}

/* ---- Keys ------------------------------------------------------------------------------------------------------- */

static struct json_object *put_request(const char *key, const char *value, int64_t lease) {
    struct json_object *put = json_object_new_object();
    add_base64(put, "key", key, strlen(key));
    add_base64(put, "value", value, strlen(value));
    add_lease(put, "lease", lease);
    return put;
}

enum etcd_result etcd_put(struct etcd_client *client, const char *key, const char *value, int64_t lease) {
    struct json_object *answer = call(client, "/v3/kv/put", put_request(key, value, lease));
    enum etcd_result result = answer == NULL ? ETCD_FAILED : member_of(answer, "header") != NULL ? ETCD_OK : ETCD_NO;
    json_object_put(answer);
    return result;
}

enum etcd_result etcd_create(struct etcd_client *client, const char *key, const char *value, int64_t lease) {
    struct json_object *request = json_object_new_object();
    struct json_object *compares = json_object_new_array();
    struct json_object *compare = json_object_new_object();
    struct json_object *successes = json_object_new_array();
    struct json_object *success = json_object_new_object();
    add_base64(compare, "key", key, strlen(key));
    json_object_object_add(compare, "target", json_object_new_string("CREATE"));
    json_object_object_add(compare, "result", json_object_new_string("EQUAL"));
    json_object_object_add(compare, "createRevision", json_object_new_string("0"));
    json_object_array_add(compares, compare);
    json_object_object_add(success, "requestPut", put_request(key, value, lease));
    json_object_array_add(successes, success);
    json_object_object_add(request, "compare", compares);
    json_object_object_add(request, "success", successes);
    struct json_object *answer = call(client, "/v3/kv/txn", request);
    struct json_object *succeeded = member_of(answer, "succeeded");
    enum etcd_result result = answer == NULL                                                 ? ETCD_FAILED
                              : succeeded != NULL && json_object_get_boolean(succeeded) != 0 ? ETCD_OK
                                                                                             : ETCD_NO;
    json_object_put(answer);
    return result;
}

/* `end`: "" for the key alone. */
static enum etcd_result range(struct etcd_client *client, const char *key, const char *end, etcd_each_fn *each,
                              void *context) {
    struct json_object *request = json_object_new_object();
    add_base64(request, "key", key, strlen(key));
    if (*end != '\0') {
        add_base64(request, "range_end", end, strlen(end));
    }
    struct json_object *answer = call(client, "/v3/kv/range", request);
    struct json_object *pairs = member_of(answer, "kvs");
    enum etcd_result result = member_of(answer, "header") != NULL ? ETCD_OK : ETCD_FAILED;
    for (size_t i = 0; pairs != NULL && i < json_object_array_length(pairs); i++) {
        char name[ETCD_KEY_BYTES_MAX];
        char value[ETCD_VALUE_BYTES_MAX];
        struct json_object *pair = json_object_array_get_idx(pairs, i);
        if (text_of(pair, "key", name, sizeof name) && text_of(pair, "value", value, sizeof value)) {
            each(context, name, value);
        }
    }
    json_object_put(answer);
    return result;
}

struct found {
    char *value;
    bool any;
};

static void take_value(void *context, const char *key, const char *value) {
    struct found *found = context;
    (void)key;
    snprintf(found->value, ETCD_VALUE_BYTES_MAX, "%s", value);
    found->any = true;
}

enum etcd_result etcd_get(struct etcd_client *client, const char *key, char value[ETCD_VALUE_BYTES_MAX]) {
    struct found found = {.value = value};
    enum etcd_result result = range(client, key, "", take_value, &found);
    return result == ETCD_OK && !found.any ? ETCD_NO : result;
}

enum etcd_result etcd_list(struct etcd_client *client, const char *prefix, etcd_each_fn *each, void *context) {
    char end[ETCD_KEY_BYTES_MAX];
    size_t length = strlen(prefix);
    snprintf(end, sizeof end, "%s", prefix);
    end[length - 1]++; /* the first text behind all that begin so */
    return range(client, prefix, end, each, context);
}
