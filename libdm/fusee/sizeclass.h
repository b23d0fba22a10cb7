/* sizeclass.h: the 32 sizes of objects. Pure.
 *
 *   128 ... 512 by 64 | 640 ... 8192, four a doubling | 12 K ... 32 K, two a doubling | 64 K ... 1 M, one a doubling
 */
#ifndef FUSEE_SIZECLASS_H
#define FUSEE_SIZECLASS_H

#include <stdint.h>

#define SIZECLASS_COUNT 32
#define SIZECLASS_BYTES_MIN 128

/* Bytes of an object of this class, 0..31. */
uint32_t sizeclass_bytes(uint8_t size_class);

/* Smallest class that holds `bytes`, SIZECLASS_COUNT if none does. */
uint8_t sizeclass_for(uint64_t bytes);

/* Largest class whose objects fit into a block of block_bytes. */
uint8_t sizeclass_largest(uint64_t block_bytes);

#endif
