#include "ns_link.h"

#include "nsfs.h"
#include "nsfleet.h"

#include <string.h>

/* From behind the colon: "[123]" and nothing after it. */
static int parse_inode(const char *text, size_t bytes, uint64_t *inode) {
    uint64_t value = 0;
    if (bytes < 3 || text[0] != '[' || text[bytes - 1] != ']')
        return 0;
    for (size_t at = 1; at < bytes - 1; at++) {
        if (text[at] < '0' || text[at] > '9')
            return 0;
        if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, (uint64_t)(text[at] - '0'), &value))
            return 0;
    }
    *inode = value;
    return 1;
}

static int has_prefix(const char *text, size_t bytes, const char *name, size_t name_bytes) {
    return bytes > name_bytes && memcmp(text, name, name_bytes) == 0 && text[name_bytes] == ':';
}

int nsf_parse_ns_link(const char *text, size_t bytes, uint64_t *inode) {
    for (int type = 0; type < NSF_TYPES; type++) {
        size_t name_bytes = strlen(nsf_link_names[type]);
        if (has_prefix(text, bytes, nsf_link_names[type], name_bytes))
            return parse_inode(text + name_bytes + 1, bytes - name_bytes - 1, inode) ? type : -1;
    }
    return -1;
}

int nsf_parse_socket_link(const char *text, size_t bytes, uint64_t *inode) {
    const size_t name_bytes = sizeof "socket" - 1;
    return has_prefix(text, bytes, "socket", name_bytes) && parse_inode(text + name_bytes + 1, bytes - name_bytes - 1, inode);
}
