#include "proc_stat.h"

#include "owned_fd.h"

#include <fcntl.h>
#include <string.h>

/* Digits up to a space or the end; false if there are none or they do not fit. */
static int parse_number(const char **at, const char *end, uint64_t *out) {
    const char *p = *at;
    uint64_t value = 0;
    while (p < end && *p >= '0' && *p <= '9') {
        if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return 0;
        p++;
    }
    if (p == *at)
        return 0;
    *at = p;
    *out = value;
    return 1;
}

static int skip_fields(const char **at, const char *end, int count) {
    while (count-- > 0) {
        const char *space = memchr(*at, ' ', (size_t)(end - *at));
        if (!space)
            return 0;
        *at = space + 1;
    }
    return 1;
}

int nsf_parse_stat(const char *text, size_t bytes, struct nsf_stat *out) {
    const char *at = text;
    const char *end = text + bytes;
    const char *close_bracket = memrchr(text, ')', bytes);
    uint64_t pid;
    uint64_t ppid;

    if (!close_bracket || !parse_number(&at, end, &pid) || pid > INT32_MAX)
        return -EINVAL;
    if (end - at < 2 || at[0] != ' ' || at[1] != '(' || close_bracket < at + 2)
        return -EINVAL;
    at += 2;
    size_t comm_bytes = (size_t)(close_bracket - at);
    if (comm_bytes > sizeof out->comm)
        comm_bytes = sizeof out->comm;
    memset(out->comm, 0, sizeof out->comm);
    memcpy(out->comm, at, comm_bytes);
    out->comm_bytes = (uint8_t)comm_bytes;

    at = close_bracket + 1;
    if (end - at < 4 || at[0] != ' ' || at[2] != ' ')
        return -EINVAL;
    out->state = at[1];
    at += 3;
    if (!parse_number(&at, end, &ppid) || ppid > INT32_MAX)
        return -EINVAL;
    /* From behind field 4 (ppid) to field 20 (num_threads), and from there to field 22 (starttime). */
    if (!skip_fields(&at, end, 16) || !parse_number(&at, end, &out->threads))
        return -EINVAL;
    if (!skip_fields(&at, end, 2) || !parse_number(&at, end, &out->start_ticks))
        return -EINVAL;
    out->pid = (int32_t)pid;
    out->ppid = (int32_t)ppid;
    return 0;
}

int nsf_read_stat(int dir, const char *path, struct nsf_stat *out) {
    /* 52 numbers of at most 20 digits and a name of at most 64 bytes (kernel threads). */
    char text[2048];
    NSF_OWNED_FD fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    ssize_t bytes = read(fd, text, sizeof text);
    if (bytes < 0)
        return -errno;
    return nsf_parse_stat(text, (size_t)bytes, out);
}
