/* lzf.c: reads LZF; see lzf.h. Pure.
 *
 *     000nnnnn                    n + 1 bytes follow as they are
 *     nnnooooo oooooooo           n + 2 bytes from o + 1 bytes before, n below 7
 *     111ooooo nnnnnnnn oooooooo  n + 9 bytes from o + 1 bytes before
 */
#include "lzf.h"

#include <string.h>

#define LITERALS 32u /* first bytes below say how many */
#define LENGTH_SHIFT 5u
#define LENGTH_LONG 7u
#define LENGTH_LEAST 2u
#define OFFSET_HIGH_MASK 0x1fu

bool lzf_decompress(const uint8_t *in, size_t in_length, uint8_t *out, size_t out_length) {
    size_t from = 0, to = 0;

    while (from < in_length) {
        size_t first = in[from++], length = first >> LENGTH_SHIFT;

        if (first < LITERALS) {
            length = first + 1;
            if (length > in_length - from || length > out_length - to) {
                return false;
            }
            memcpy(out + to, in + from, length);
            from += length;
            to += length;
            continue;
        }
        if (length == LENGTH_LONG) {
            if (from == in_length) {
                return false;
            }
            length += in[from++];
        }
        if (from == in_length) {
            return false;
        }
        size_t back = ((first & OFFSET_HIGH_MASK) << 8 | in[from++]) + 1;

        length += LENGTH_LEAST;
        if (back > to || length > out_length - to) {
            return false;
        }
        for (size_t i = 0; i < length; i++, to++) { /* source and destination may overlap, on purpose */
            out[to] = out[to - back];
        }
    }
    return to == out_length;
}
