/* info.h: numbers out of INFO of a running server. A connection of its own for each call. */
#ifndef TESTS_INFO_H
#define TESTS_INFO_H

#include <stdint.h>

/* The number behind "field:" or, for "field/part", behind "part=" in that line; -1 when there is none. */
double info_number(int port, const char *field);
/* Like it, but ends the program when the field is missing. */
double info_need(int port, const char *field);

#endif
