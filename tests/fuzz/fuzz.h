/* fuzz.h: what the fuzzers share: taking decisions and bytes from an input, and saying what is wrong with what it does.
 * Each fuzzer is a program of its own, built with clang's libFuzzer (see run) and called by it on one thread. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* What libFuzzer calls. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* What is left of an input. */
struct fuzz_input {
    const uint8_t *bytes;
    size_t length;
};

/* The next byte; 0 when there is none. */
uint8_t fuzz_byte(struct fuzz_input *input);
/* A decision: a number below `bound` (at most 65536), from one byte, or two where one does not do. */
uint32_t fuzz_below(struct fuzz_input *input, uint32_t bound);
/* Takes up to `length` bytes; sets how many there were. */
const uint8_t *fuzz_take(struct fuzz_input *input, size_t length, size_t *taken);

/* The input has shown a fault: says which, and ends the program so that libFuzzer keeps the input. */
void fuzz_fault(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
