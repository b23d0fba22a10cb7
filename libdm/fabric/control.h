/* control.h: what a client and a memory node on one host say to each other over the node's control socket, byte by
 * byte. Included by fabric/local_shared.c, by memserver/control.c, and by ctl/node_probe.c, which asks for STATUS.
 *
 * The socket is a Unix SOCK_SEQPACKET: one message, one packet. A client says HELLO and gets the node's memory as a
 * file descriptor (SCM_RIGHTS); it keeps the connection open as long as it uses the memory, so that the node sees it
 * go. STATUS may be asked at any time, by anybody. No data ever passes here.
 *
 *   client                          node
 *     HELLO          ------------>
 *                    <------------  HELLO_REPLY + fd     or ERROR, and the connection is closed
 *     STATUS         ------------>
 *                    <------------  STATUS_REPLY
 *
 * Magic, version, type and length stand at the same place in all versions, so that a mismatch can be told.
 * Little-endian hosts only, as in fabric.h.
 */
#ifndef DM_FABRIC_CONTROL_H
#define DM_FABRIC_CONTROL_H

#include <stdint.h>

#define CONTROL_MAGIC UINT32_C(0x4d464744) /* "DGFM" */
#define CONTROL_VERSION 1u
#define CONTROL_MESSAGE_BYTES_MAX 256u
#define CONTROL_PATH_PREFIX "unix:" /* allowed before the path of a control socket */

enum control_type {
    CONTROL_HELLO = 1,
    CONTROL_HELLO_REPLY = 2,
    CONTROL_STATUS = 3,
    CONTROL_STATUS_REPLY = 4,
    CONTROL_ERROR = 5,
};

enum control_error_code {
    CONTROL_ERROR_VERSION = 1, /* the other side speaks another version, the one in the head */
    CONTROL_ERROR_FULL = 2,    /* too many connections */
    CONTROL_ERROR_MESSAGE = 3, /* not understood */
};

enum { CONTROL_FLAG_HUGE_PAGES = 1 };

struct control_head {
    uint32_t magic;
    uint16_t version;
    uint16_t type;   /* enum control_type */
    uint32_t length; /* bytes of the message, head included */
    uint32_t reserved;
};
_Static_assert(sizeof(struct control_head) == 16, "wire format");

/* HELLO and STATUS are a head and nothing more. */

struct control_hello_reply {
    struct control_head head;
    uint64_t memory_bytes;
    uint64_t page_bytes;
    uint32_t pid;
    uint32_t flags; /* CONTROL_FLAG_ */
};
_Static_assert(sizeof(struct control_hello_reply) == 40, "wire format");

struct control_status_reply {
    struct control_head head;
    uint64_t memory_bytes;
    uint32_t pid;
    uint32_t connections; /* the asking one included */
    uint32_t connections_max;
    uint32_t clients; /* connections that were given the memory */
};
_Static_assert(sizeof(struct control_status_reply) == 40, "wire format");

struct control_error {
    struct control_head head;
    uint32_t code; /* enum control_error_code */
    uint32_t reserved;
    char text[168]; /* one line, ends with 0 */
};
_Static_assert(sizeof(struct control_error) == 192, "wire format");
_Static_assert(sizeof(struct control_error) <= CONTROL_MESSAGE_BYTES_MAX, "wire format");

#endif
