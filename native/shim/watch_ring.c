/* The ring buffer's binary pages, as include/linux/ring_buffer.h and kernel/trace/ring_buffer.c lay them out: a timestamp, the bytes
 * of data that follow with two flags, then events, each a word with type_len (5 bits) and a time difference (27). */
#include "watch.h"

#include <string.h>

#define HEADER 16u /* of 64-bit kernels */
#define COMMIT_BYTES ((1u << 27) - 1)
#define MISSED_EVENTS (1u << 31)

enum { TYPE_LONG = 0 /* its length is in the next word */, TYPE_PADDING = 29, TYPE_TIME_EXTEND = 30, TYPE_TIME_STAMP = 31 };
enum { COMMON_BYTES = 8, COMMON_TYPE_AT = 0 };

static uint32_t word(const unsigned char *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static void note(const struct watch_source *source, const unsigned char *event, uint32_t bytes, struct watch_set *set) {
    uint16_t id;
    if (bytes < COMMON_BYTES) return;
    memcpy(&id, event + COMMON_TYPE_AT, sizeof id);
    for (uint32_t i = 0; i < source->events; i++) {
        const struct watch_event *known = &source->event[i];
        if (known->id != id) continue;
        if (known->pid_offset <= bytes - 4) watch_set_add(set, word(event + known->pid_offset), known->kinds);
        return;
    }
}

int watch_ring_page(const struct watch_source *source, const unsigned char *page, uint32_t bytes, struct watch_set *set) {
    if (bytes < HEADER) return 0;
    uint32_t commit = word(page + 8), data = commit & COMMIT_BYTES, at = 0;
    if (commit & MISSED_EVENTS) watch_set_lose(set);
    if (data > bytes - HEADER) data = bytes - HEADER;
    page += HEADER;
    while (data - at >= 4) {
        uint32_t head = word(page + at), type = head & 31, length;
        at += 4;
        if (type == TYPE_TIME_EXTEND || type == TYPE_TIME_STAMP) {
            length = 4;
        } else if (type == TYPE_PADDING) {
            if (head >> 5 == 0 || data - at < 4) break; /* nothing more on this page */
            length = word(page + at);
        } else if (type == TYPE_LONG) {
            if (data - at < 4) break;
            length = word(page + at); /* counts its own word */
            if (length < 4 || length > data - at) break;
            note(source, page + at + 4, length - 4, set);
            length = (length + 3) & ~3u;
        } else {
            length = type * 4;
            if (length > data - at) break;
            note(source, page + at, length, set);
        }
        if (length > data - at) break;
        at += length;
    }
    return data > 0;
}
