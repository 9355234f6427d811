#include "proc_text.h"

#include "holders.h"

#include <limits.h>
#include <string.h>

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
