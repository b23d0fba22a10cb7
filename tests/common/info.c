/* info.c: see info.h. */
#include "info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "wire.h"

static double find(const char *text, const char *field) {
    char name[64], start[80];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(field, "/"), field);
    snprintf(start, sizeof start, "\n%s:", name);
    const char *line = strstr(text, start);
    if (!line)
        return -1;
    line += strlen(start);
    const char *part = strchr(field, '/');
    if (!part)
        return strtod(line, NULL);
    snprintf(start, sizeof start, "%s=", part + 1);
    for (const char *p = line; *p && *p != '\r'; p++) {
        bool begins = p == line || p[-1] == ',';
        if (begins && strncmp(p, start, strlen(start)) == 0)
            return strtod(p + strlen(start), NULL);
    }
    return -1;
}

double info_number(int port, const char *field) {
    struct wire wire;
    const char *reply;
    size_t length;
    double value = -1;
    if (!wire_open(&wire, port))
        return -1;
    if (wire_ask(&wire, "INFO everything", &reply, &length) == WIRE_OK) {
        char *text = strndup(reply, length);
        value = find(text, field);
        free(text);
    }
    wire_close(&wire);
    return value;
}

double info_need(int port, const char *field) {
    double value = info_number(port, field);
    if (value < 0)
        report_abort("INFO has no number %s", field);
    return value;
}
