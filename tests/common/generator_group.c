/* generator_group.c: arguments of commands on parts of strings, bitmaps, HyperLogLogs and dumps. A letter each:
 *   i an index, negative ones too   I an offset to write at   l options of LCS
 *   j w a key and a value for LCS, which takes long when both are long
 *   b a bit's offset   B a bit   c p ranges of BITCOUNT and BITPOS   t an operation of BITOP   K one or more keys
 *   y Y operations of BITFIELD and BITFIELD_RO
 *   H a key, mostly of a HyperLogLog   G none or more of them   h none or more elements   D what PFDEBUG is to do
 *   q options of COPY
 *   T milliseconds to live for RESTORE   R what DUMP may have given   r options of RESTORE   X a question of OBJECT
 */
#include <stdio.h>
#include <string.h>

#include "generator_argument.h"

#define OFFSET_BYTES_MAX 70000 /* what is written at; values stay well below the largest of a pool */
#define BITS_PER_BYTE 8
#define HYPERLOGLOG_KEYS 12
#define SHORT_KEYS 6
#define SHORT_BYTES_MAX 300

/* Offsets that both servers refuse. */
static const struct text offsets_wrong[] = {
    T("-1"),
    T("-100"),
    T("4294967296"), /* 512 MB of bits */
    T("9223372036854775807"),
    T("9223372036854775808"),
    T("-9223372036854775808"),
    T("abc"),
    T(""),
    T("1.5"),
    T(" 1"),
    T("01"),
    T("1\0"),
    T("#1"),
};

static void index_near(struct generator *generator, struct generated *out) {
    struct prng *prng = &generator->prng;
    if (prng_chance(prng, 8)) {
        argument_integer(generator, out);
        return;
    }
    static const uint64_t scales[] = {4, 40, 600, 70000, 600000};
    int64_t value = (int64_t)prng_below(prng, scales[prng_below(prng, COUNT(scales))]);
    argument_number(out, prng_chance(prng, 35) ? -value - 1 : value);
}

static void offset_below(struct generator *generator, struct generated *out, uint64_t most) {
    struct prng *prng = &generator->prng;
    if (prng_chance(prng, 8)) {
        argument_text(out, &offsets_wrong[prng_below(prng, COUNT(offsets_wrong))]);
        return;
    }
    uint64_t scale = prng_chance(prng, 70) ? 200 : prng_chance(prng, 70) ? 5000 : most;
    argument_number(out, (int64_t)prng_below(prng, scale));
}

static void bit(struct generator *generator, struct generated *out) {
    static const struct text wrong[] = {T("2"), T("-1"), T(""), T("01"), T("x"), T("1\0"), T("9223372036854775808")};
    struct prng *prng = &generator->prng;
    if (prng_chance(prng, 5))
        argument_text(out, &wrong[prng_below(prng, COUNT(wrong))]);
    else
        argument_number(out, prng_chance(prng, 60));
}

static void unit(struct generator *generator, struct generated *out) {
    static const char *const units[] = {"BIT", "BYTE", "BIT", "BYTE", "nosuch", ""};
    argument_word(generator, out, units[prng_below(&generator->prng, COUNT(units))]);
}

/* Nothing, or start and end with or without a unit; `start_alone`: start alone is allowed, too. */
static void range(struct generator *generator, struct generated *out, bool start_alone) {
    struct prng *prng = &generator->prng;
    unsigned kind = (unsigned)prng_below(prng, 100);
    if (kind < 20)
        return;
    index_near(generator, out);
    if (kind < (start_alone ? 40 : 22))
        return;
    index_near(generator, out);
    if (kind > 65)
        unit(generator, out);
}

static void key_of_short(struct generator *generator, struct generated *out) {
    char name[16];
    int length = snprintf(name, sizeof name, "short:%d", (int)prng_below(&generator->prng, SHORT_KEYS));
    argument(out, name, (size_t)length);
}

static void value_of_few_letters(struct generator *generator, struct generated *out) {
    struct prng *prng = &generator->prng;
    char text[SHORT_BYTES_MAX];
    size_t length = prng_below(prng, prng_chance(prng, 70) ? 20 : SHORT_BYTES_MAX);
    uint64_t letters = 1 + prng_below(prng, 6);
    for (size_t i = 0; i < length; i++)
        text[i] = (char)('a' + prng_below(prng, letters));
    argument(out, text, length);
}

static void lcs_options(struct generator *generator, struct generated *out) {
    static const char *const words[] = {"IDX", "LEN", "WITHMATCHLEN", "MINMATCHLEN", "nosuch"};
    struct prng *prng = &generator->prng;
    for (uint64_t n = prng_below(prng, 4); n > 0; n--) {
        size_t word = prng_below(prng, prng_chance(prng, 10) ? COUNT(words) : COUNT(words) - 1);
        argument_word(generator, out, words[word]);
        if (strcmp(words[word], "MINMATCHLEN") != 0)
            continue;
        if (prng_chance(prng, 10))
            argument_integer(generator, out);
        else
            argument_number(out, (int64_t)prng_below(prng, 6));
    }
}

static bool copy_options(struct generator *generator, struct generated *out) {
    struct prng *prng = &generator->prng;
    if (prng_chance(prng, 50)) {
        argument_word(generator, out, "REPLACE");
    }
    if (prng_chance(prng, 30)) {
        argument_word(generator, out, "DB");
        argument_letter(generator, out, 'd', 0);
    }
    if (prng_chance(prng, 3)) {
        argument_word(generator, out, "nosuch");
    }
    return true;
}

static void bitop_operation(struct generator *generator, struct generated *out) {
    static const char *const words[] = {"AND", "OR", "XOR", "AND", "OR", "XOR", "NOT", "NOT", "nosuch", ""};
    size_t count = prng_chance(&generator->prng, 10) ? COUNT(words) : COUNT(words) - 2;
    argument_word(generator, out, words[prng_below(&generator->prng, count)]);
}

static void keys(struct generator *generator, struct generated *out) {
    struct prng *prng = &generator->prng;
    uint64_t count = 1 + (prng_chance(prng, 50) ? 0 : prng_below(prng, 5));
    if (prng_below(prng, 300) == 0)
        count = 60 + prng_below(prng, 100);
    while (count-- > 0)
        argument_key(generator, out);
}

static void field_type(struct generator *generator, struct generated *out) {
    static const struct text wrong[] = {T("u64"), T("i65"), T("u0"),  T("i0"),  T("x8"),   T("u"), T(""),
                                        T("i-1"), T("I8"),  T("u08"), T("u8 "), T("i8\0"), T("8")};
    static const uint8_t usual[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 24, 31, 32, 33, 48, 62, 63, 64};
    struct prng *prng = &generator->prng;
    char type[8];
    if (prng_chance(prng, 3)) {
        argument_text(out, &wrong[prng_below(prng, COUNT(wrong))]);
        return;
    }
    unsigned bits = prng_chance(prng, 50) ? usual[prng_below(prng, COUNT(usual))] : 1 + (unsigned)prng_below(prng, 63);
    type[0] = bits == 64 || prng_chance(prng, 50) ? 'i' : 'u';
    size_t length = 1;
    if (bits >= 10)
        type[length++] = (char)('0' + bits / 10);
    type[length++] = (char)('0' + bits % 10);
    argument(out, type, length);
}

static void field_offset(struct generator *generator, struct generated *out) {
    struct prng *prng = &generator->prng;
    if (prng_chance(prng, 30)) {
        char text[8] = "#";
        uint64_t value = prng_below(prng, 200);
        size_t length = 1;
        for (uint64_t scale = 100; scale > 0; scale /= 10) {
            if (value >= scale || scale == 1)
                text[length++] = (char)('0' + value / scale % 10);
        }
        argument(out, text, length);
        return;
    }
    if (prng_chance(prng, 2)) {
        static const struct text wrong[] = {T("#"), T("#-1"), T("#abc"), T("##1"), T("#9223372036854775807")};
        argument_text(out, &wrong[prng_below(prng, COUNT(wrong) - 1)]);
        return;
    }
    offset_below(generator, out, (uint64_t)OFFSET_BYTES_MAX * BITS_PER_BYTE);
}

static void fields(struct generator *generator, struct generated *out, unsigned reads_percent) {
    static const char *const overflows[] = {"WRAP", "SAT", "FAIL", "SAT", "FAIL", "nosuch"};
    struct prng *prng = &generator->prng;
    for (uint64_t n = prng_below(prng, 5); n > 0; n--) {
        if (prng_chance(prng, 30)) {
            argument_word(generator, out, "OVERFLOW");
            argument_word(generator, out, overflows[prng_below(prng, COUNT(overflows) - !prng_chance(prng, 10))]);
        }
        bool read = prng_chance(prng, reads_percent);
        argument_word(generator, out, read ? "GET" : prng_chance(prng, 50) ? "SET" : "INCRBY");
        field_type(generator, out);
        field_offset(generator, out);
        if (!read)
            argument_integer(generator, out);
    }
    if (prng_chance(prng, 2))
        argument_word(generator, out, "nosuch");
}

static void key_of_hyperloglog(struct generator *generator, struct generated *out) {
    char name[16];
    if (prng_chance(&generator->prng, 4)) {
        argument_key(generator, out);
        return;
    }
    int length = snprintf(name, sizeof name, "hll:%d", (int)prng_below(&generator->prng, HYPERLOGLOG_KEYS));
    argument(out, name, (size_t)length);
}

/* Few for the most part, sometimes enough to make the HyperLogLog dense. */
static void elements(struct generator *generator, struct generated *out) {
    struct prng *prng = &generator->prng;
    uint64_t count = prng_chance(prng, 95) ? prng_below(prng, 8) : prng_below(prng, 700);
    uint64_t range = prng_chance(prng, 50) ? 100 : 1000000;
    while (count-- > 0) {
        if (prng_chance(prng, 80))
            argument_number(out, (int64_t)prng_below(prng, range));
        else
            argument_value(generator, out, 64);
    }
}

static void debug_what(struct generator *generator, struct generated *out) {
    static const char *const words[] = {"DECODE", "ENCODING", "DECODE", "ENCODING", "GETREG", "TODENSE", "nosuch"};
    argument_word(generator, out, words[prng_below(&generator->prng, COUNT(words))]);
}

/* ---- Dumps ---- */

#define CHECKSUM_POLYNOMIAL UINT64_C(0x95ac9329ac4bc9b5) /* low bit first */

static void put_low_first(struct buffer *out, uint64_t value, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char byte = (char)(value >> 8 * i);
        buffer_add(out, &byte, 1);
    }
}

static uint64_t checksum(const struct buffer *bytes) {
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes->length; i++) {
        sum ^= (uint8_t)bytes->bytes[i];
        for (int bit_number = 0; bit_number < 8; bit_number++)
            sum = (sum & 1) != 0 ? sum >> 1 ^ CHECKSUM_POLYNOMIAL : sum >> 1;
    }
    return sum;
}

/* Lengths in all forms, short ones in long forms, too. */
static void put_dump_length(struct prng *prng, struct buffer *out, size_t length) {
    size_t form = prng_below(prng, length < 64 ? 4 : 3);
    if (form == 3)
        put_low_first(out, length, 1);
    else if (form == 2)
        put_low_first(out, (0x40u | length >> 8) | (length & 0xff) << 8, 2);
    else if (form == 1)
        put_low_first(out, 0x80 | (uint64_t)__builtin_bswap32((uint32_t)length) << 8, 5);
    else {
        put_low_first(out, 0x81, 1);
        put_low_first(out, __builtin_bswap64(length), 8);
    }
}

/* Compressed bytes that are right for the most part: literals, then copies of them. */
static void put_dump_compressed(struct prng *prng, struct buffer *out) {
    struct buffer packed = {0};
    size_t length = 0;
    buffer_add(&packed, "", 0);
    for (uint64_t n = 1 + prng_below(prng, 5); n > 0; n--) {
        size_t literals = 1 + prng_below(prng, 32), copied = 1 + prng_below(prng, 200);
        put_low_first(&packed, literals - 1, 1);
        for (size_t i = 0; i < literals; i++)
            put_low_first(&packed, prng_next(prng), 1);
        length += literals;
        size_t back = prng_below(prng, length + (prng_chance(prng, 2) ? 3 : 0));
        if (copied < 7) {
            put_low_first(&packed, copied << 5 | back >> 8, 1);
        } else {
            put_low_first(&packed, 7u << 5 | back >> 8, 1);
            put_low_first(&packed, copied - 7, 1);
        }
        put_low_first(&packed, back, 1);
        length += copied + 2;
    }
    put_low_first(out, 0xc3, 1);
    put_dump_length(prng, out, packed.length);
    put_dump_length(prng, out, length + prng_chance(prng, 3));
    buffer_add(out, packed.bytes, packed.length);
    buffer_free(&packed);
}

static void put_dump_string(struct prng *prng, struct buffer *out) {
    unsigned kind = (unsigned)prng_below(prng, 100);
    if (kind < 35) {
        unsigned encoding = kind < 33 ? kind % 3 : 4 + kind % 3; /* some that do not exist */
        put_low_first(out, 0xc0 | encoding, 1);
        put_low_first(out, prng_next(prng), (size_t)1 << (encoding % 4));
    } else if (kind < 60) {
        put_dump_compressed(prng, out);
    } else {
        size_t length = prng_below(prng, prng_chance(prng, 80) ? 80 : 3000);
        put_dump_length(prng, out, length + (prng_chance(prng, 3) ? 12 : 0));
        for (size_t i = 0; i < length; i++)
            put_low_first(out, kind < 80 ? '0' + i % 10 : prng_next(prng), 1);
    }
}

static void dump(struct generator *generator, struct generated *out) {
    struct prng *prng = &generator->prng;
    struct buffer bytes = {0};
    buffer_add(&bytes, prng_chance(prng, 98) ? "\0" : "\xf0", 1);
    put_dump_string(prng, &bytes);
    if (prng_chance(prng, 5))
        put_low_first(&bytes, 0, prng_below(prng, 8));
    put_low_first(&bytes, prng_chance(prng, 90) ? 10 : 5 + prng_below(prng, 8), 2);
    put_low_first(&bytes, checksum(&bytes), 8);
    if (prng_chance(prng, 5))
        bytes.bytes[prng_below(prng, bytes.length)] ^= (char)(1 << prng_below(prng, 8));
    argument(out, bytes.bytes, prng_chance(prng, 97) ? bytes.length : prng_below(prng, bytes.length));
    buffer_free(&bytes);
}

static void dump_ttl(struct generator *generator, struct generated *out) {
    /* None that passes while a test runs. */
    static const struct text special[] = {
        T("-1"),
        T("abc"),
        T(""),
        T("1.5"),
        T("9223372036854775807"),
        T("-9223372036854775808"),
        T("9223372036854775808"),
        T("100000000000"),
        T("9000000000000000000"),
    };
    struct prng *prng = &generator->prng;
    if (prng_chance(prng, 70))
        argument_number(out, 0);
    else if (prng_chance(prng, 20))
        argument_text(out, &special[prng_below(prng, COUNT(special))]);
    else
        argument_number(out, INT64_C(4102444800000) + (int64_t)prng_below(prng, 1000000));
}

static void restore_options(struct generator *generator, struct generated *out) {
    static const char *const words[] = {"REPLACE", "ABSTTL", "REPLACE", "REPLACE", "IDLETIME", "FREQ", "nosuch"};
    struct prng *prng = &generator->prng;
    for (uint64_t n = prng_below(prng, 4); n > 0; n--) {
        size_t word = prng_below(prng, COUNT(words) - !prng_chance(prng, 20));
        argument_word(generator, out, words[word]);
        if (*words[word] != 'I' && *words[word] != 'F')
            continue;
        if (prng_chance(prng, 20))
            argument_integer(generator, out);
        else if (!prng_chance(prng, 5))
            argument_number(out, (int64_t)prng_below(prng, 300));
    }
}

static void object_question(struct generator *generator, struct generated *out) {
    static const char *const words[] = {"ENCODING", "ENCODING", "ENCODING", "REFCOUNT", "FREQ"};
    argument_word(generator, out, words[prng_below(&generator->prng, COUNT(words))]);
}

bool argument_group_letter(struct generator *generator, struct generated *out, char letter) {
    switch (letter) {
    case 'i':
        index_near(generator, out);
        return true;
    case 'I':
        offset_below(generator, out, OFFSET_BYTES_MAX);
        return true;
    case 'l':
        lcs_options(generator, out);
        return true;
    case 'j':
        key_of_short(generator, out);
        return true;
    case 'w':
        value_of_few_letters(generator, out);
        return true;
    case 'b':
        offset_below(generator, out, (uint64_t)OFFSET_BYTES_MAX * BITS_PER_BYTE);
        return true;
    case 'B':
        bit(generator, out);
        return true;
    case 'c':
        range(generator, out, false);
        return true;
    case 'p':
        range(generator, out, true);
        return true;
    case 't':
        bitop_operation(generator, out);
        return true;
    case 'q':
        return copy_options(generator, out);
    case 'K':
        keys(generator, out);
        return true;
    case 'y':
        fields(generator, out, 40);
        return true;
    case 'Y':
        fields(generator, out, 97);
        return true;
    case 'H':
        key_of_hyperloglog(generator, out);
        return true;
    case 'G':
        for (uint64_t n = prng_below(&generator->prng, 4); n > 0; n--)
            key_of_hyperloglog(generator, out);
        return true;
    case 'h':
        elements(generator, out);
        return true;
    case 'D':
        debug_what(generator, out);
        return true;
    case 'T':
        dump_ttl(generator, out);
        return true;
    case 'R':
        dump(generator, out);
        return true;
    case 'r':
        restore_options(generator, out);
        return true;
    case 'X':
        object_question(generator, out);
        return true;
    default:
        return false;
    }
}
