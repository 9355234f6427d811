#include "proc_text.h"

#include "owned_fd.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* Digits of BASE (at most 10) from *at on; false if there are none or they do not fit. */
static int take_number(const char **at, const char *end, unsigned base, uint64_t *out) {
    const char *p = *at;
    uint64_t value = 0;
    for (; p < end && *p >= '0' && (unsigned)(*p - '0') < base; p++)
        if (__builtin_mul_overflow(value, (uint64_t)base, &value) || __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return 0;
    if (p == *at)
        return 0;
    *at = p;
    *out = value;
    return 1;
}

long nsf_parse_fd_flags(const char *text, size_t bytes) {
    static const char name[] = "flags:\t";
    uint64_t flags;
    const char *at = memmem(text, bytes, name, sizeof name - 1);
    if (!at)
        return -1;
    at += sizeof name - 1;
    return take_number(&at, text + bytes, 8, &flags) && flags <= LONG_MAX ? (long)flags : -1;
}

int nsf_parse_runs(const char *text, size_t bytes, struct nsf_runs *out) {
    const char *at = text;
    const char *end = text + bytes;
    uint64_t *const numbers[] = {&out->ran_ns, &out->waited_ns, &out->runs};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (i > 0 && (at == end || *at++ != ' '))
            return 0;
        if (!take_number(&at, end, 10, numbers[i]))
            return 0;
    }
    /* "0 0 0" is what a kernel says that does not count (kernel/sched/stats.h, sched_info_on). */
    return out->runs != 0;
}

uint32_t nsf_parse_threads(const char *text, size_t bytes) {
    uint64_t threads;
    const char *at = memchr(text, '/', bytes);
    if (!at)
        return 0;
    at++;
    return take_number(&at, text + bytes, 10, &threads) && threads < UINT32_MAX ? (uint32_t)threads : 0;
}

int nsf_read_runs(int proc, const char *name, struct nsf_runs *runs) {
    char path[32];
    char text[96]; /* three numbers of at most 20 digits */
    struct statx about;
    size_t bytes = strnlen(name, sizeof path - sizeof "/schedstat");
    memcpy(path, name, bytes);
    memcpy(path + bytes, "/schedstat", sizeof "/schedstat");
    NSF_OWNED_FD file = openat(proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text);
    if (length <= 0 || !nsf_parse_runs(text, (size_t)length, runs))
        return 0;
    if (statx(file, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &about) != 0)
        return 0;
    runs->inode = about.stx_ino;
    return 1;
}

int nsf_same_runs(const struct nsf_runs *a, const struct nsf_runs *b) {
    return a->runs == b->runs && a->ran_ns == b->ran_ns && a->waited_ns == b->waited_ns && a->inode == b->inode;
}
