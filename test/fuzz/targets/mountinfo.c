/* A line, and its texts unescaped in place, as mounts_text.c does it. */
#include "mountinfo.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void inside(const char *text, size_t length, const char *line, size_t bytes) {
    if (text < line || length == 0 || length > bytes || (size_t)(text - line) > bytes - length)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char *line = (char *)(uintptr_t)data;
    struct nsf_mountinfo out;
    if (nsf_parse_mountinfo(line, bytes, &out) != 0)
        return 0;
    inside(out.root, out.root_bytes, line, bytes);
    inside(out.point, out.point_bytes, line, bytes);
    inside(out.type, out.type_bytes, line, bytes);
    if (nsf_unescape_mountinfo(out.point, out.point_bytes, out.point) > out.point_bytes)
        abort();
    out.point[0] = 0;
    return 0;
}
