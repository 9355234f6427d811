#include "mountinfo.h"

#include "owned_fd.h"

#include <fcntl.h>
#include <string.h>

/*
 * A bind mount of a namespace has a short root and a mount point of at most 4,096 bytes, each of which may take four characters. Longer lines are of
 * file systems with long options (overlay): the part that does not fit is passed over, the fields up to the mount point are there.
 */
#define LINE_BYTES 20480

struct reader {
    nsf_each_line each;
    void *arg;
    int passing; /* in the rest of a line that did not fit */
};

static int take_line(struct reader *reader, char *text, size_t bytes) {
    struct nsf_mountinfo line;
    if (reader->passing || nsf_parse_mountinfo(text, bytes, &line) < 0)
        return 0;
    return reader->each(reader->arg, &line);
}

/* Every whole line of TEXT; *rest is what is left behind the last newline, moved to the front. */
static int take_lines(struct reader *reader, char *text, size_t bytes, size_t *rest) {
    char *at = text;
    char *end = text + bytes;
    for (;;) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline)
            break;
        int result = take_line(reader, at, (size_t)(newline - at));
        reader->passing = 0;
        if (result < 0)
            return result;
        at = newline + 1;
    }
    *rest = (size_t)(end - at);
    memmove(text, at, *rest);
    return 0;
}

int nsf_read_mountinfo(int dir, const char *path, nsf_each_line each, void *arg) {
    char text[LINE_BYTES + 1]; /* and a byte behind the last text, which EACH may write */
    size_t used = 0;
    struct reader reader = {.each = each, .arg = arg};
    NSF_OWNED_FD file = openat(dir, path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -errno;
    for (;;) {
        ssize_t bytes = read(file, text + used, LINE_BYTES - used);
        if (bytes < 0 && errno == EINTR)
            continue;
        if (bytes < 0)
            return -errno;
        if (bytes == 0)
            return 0;
        int result = take_lines(&reader, text, used + (size_t)bytes, &used);
        if (result == 0 && used == LINE_BYTES) {
            result = take_line(&reader, text, used);
            reader.passing = 1;
            used = 0;
        }
        if (result < 0)
            return result;
    }
}
