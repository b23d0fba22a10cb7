/* fuzz.c: see fuzz.h. */
#include "fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint8_t fuzz_byte(struct fuzz_input *input) {
    if (input->length == 0) {
        return 0;
    }
    input->length--;
    return *input->bytes++;
}

uint32_t fuzz_below(struct fuzz_input *input, uint32_t bound) {
    uint32_t number = fuzz_byte(input);

    if (bound > UINT8_MAX + 1) {
        number = number << 8 | fuzz_byte(input);
    }
    return number % bound;
}

const uint8_t *fuzz_take(struct fuzz_input *input, size_t length, size_t *taken) {
    const uint8_t *bytes = input->bytes;

    *taken = length < input->length ? length : input->length;
    input->bytes += *taken;
    input->length -= *taken;
    return bytes;
}

void fuzz_fault(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    fputs("fuzz: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}
