/* lzf.h: reads the compression that Redis uses for long strings in its dumps. Pure. Called by rdb.c. */
#ifndef LZF_H
#define LZF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True: `in` was whole and has given exactly out_length bytes. */
bool lzf_decompress(const uint8_t *in, size_t in_length, uint8_t *out, size_t out_length);

#endif
