/* config_rewrite.h: CONFIG REWRITE: settings that were changed while the gateway serves, into its configuration file.
 *
 * Any thread; it writes a file and waits for the disk. Called by cmd_config.c.
 */
#ifndef CONFIG_REWRITE_H
#define CONFIG_REWRITE_H

#include <stdbool.h>
#include <stddef.h>

struct server;

/* Comments, order and all keys that cannot change stay as they are. Keys that the file does not have are added when
 * they no longer have the value of the start. False: error says why, and the file is as it was. */
bool config_rewrite(struct server *server, char *error, size_t error_bytes);

#endif
