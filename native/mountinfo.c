#include "mountinfo.h"

#include <errno.h>
#include <string.h>

/* The field up to the next space, which is skipped. False at the end of the line. */
static int next_field(char **at, char *end, char **field, size_t *bytes) {
    if (*at >= end)
        return 0;
    char *space = memchr(*at, ' ', (size_t)(end - *at));
    char *stop = space ? space : end;
    *field = *at;
    *bytes = (size_t)(stop - *at);
    *at = space ? space + 1 : end;
    return *bytes > 0;
}

static int parse_id(const char *text, size_t bytes, uint32_t *out) {
    uint32_t value = 0;
    for (size_t at = 0; at < bytes; at++)
        if (text[at] < '0' || text[at] > '9' || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint32_t)(text[at] - '0'), &value))
            return 0;
    *out = value;
    return bytes > 0;
}

int nsf_parse_mountinfo(char *line, size_t bytes, struct nsf_mountinfo *out) {
    char *at = line;
    char *end = line + bytes;
    char *field;
    size_t length;
    if (!next_field(&at, end, &field, &length) || !parse_id(field, length, &out->id))
        return -EINVAL;
    if (!next_field(&at, end, &field, &length) || !parse_id(field, length, &out->parent))
        return -EINVAL;
    if (!next_field(&at, end, &field, &length)) /* major:minor */
        return -EINVAL;
    if (!next_field(&at, end, &out->root, &out->root_bytes) || !next_field(&at, end, &out->point, &out->point_bytes))
        return -EINVAL;
    if (!next_field(&at, end, &field, &length)) /* options */
        return -EINVAL;
    /* Any number of optional fields, ended by a hyphen. No file system can put one here: spaces in names are escaped. */
    do {
        if (!next_field(&at, end, &field, &length))
            return -EINVAL;
    } while (length != 1 || field[0] != '-');
    return next_field(&at, end, &out->type, &out->type_bytes) ? 0 : -EINVAL;
}

static int is_octal(char digit) {
    return digit >= '0' && digit <= '7';
}

size_t nsf_unescape_mountinfo(const char *text, size_t bytes, char *out) {
    size_t written = 0;
    for (size_t at = 0; at < bytes;) {
        if (text[at] == '\\' && bytes - at >= 4 && is_octal(text[at + 1]) && is_octal(text[at + 2]) && is_octal(text[at + 3])) {
            out[written++] = (char)((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 + (text[at + 3] - '0'));
            at += 4;
        } else {
            out[written++] = text[at++];
        }
    }
    return written;
}
