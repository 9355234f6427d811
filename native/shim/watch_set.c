#include "watch.h"

#include "sys.h"

#include <string.h>

#define CHUNK 512u /* records in PIPE_BUF: written whole or not at all (pipe(7)) */

static uint16_t *slot_of(struct watch_set *set, uint32_t pid) {
    uint32_t slot = (pid * 2654435769u) >> 16;
    for (;; slot++) {
        uint16_t *at = &set->slot[slot % WATCH_SLOTS];
        if (*at == 0 || set->entry[*at - 1].pid == pid) return at;
    }
}

void watch_set_lose(struct watch_set *set) {
    memset(set->slot, 0, sizeof set->slot);
    set->count = 0;
    set->lost = 1;
}

void watch_set_add(struct watch_set *set, uint32_t pid, uint32_t kinds) {
    uint16_t *slot = slot_of(set, pid);
    if (*slot == 0) {
        if (set->count == WATCH_PIDS_MAX) {
            watch_set_lose(set); /* the reader looks at everything then */
            return;
        }
        set->entry[set->count] = (struct watch_record){pid, kinds};
        *slot = (uint16_t)++set->count;
        return;
    }
    struct watch_record *entry = &set->entry[*slot - 1];
    /* Born and gone before anybody heard of it: only a scan at this very time can have seen it. What it mounted may have stayed. */
    if (kinds == WATCH_GONE && (entry->kinds & (WATCH_NEW | WATCH_GONE)) == WATCH_NEW)
        entry->kinds = (entry->kinds & WATCH_MOUNT) | WATCH_GONE;
    else
        entry->kinds |= kinds;
}

static void index_again(struct watch_set *set) {
    memset(set->slot, 0, sizeof set->slot);
    for (uint32_t i = 0; i < set->count; i++) *slot_of(set, set->entry[i].pid) = (uint16_t)(i + 1);
}

int watch_set_write(struct watch_set *set, int fd) {
    struct watch_record out[CHUNK];
    uint32_t before = set->count;
    int result = 0;
    if (set->lost) {
        out[0] = (struct watch_record){0, WATCH_LOST};
        result = SYS(SYS_write, fd, out, sizeof *out);
        if (result < 0) return result;
        set->lost = 0;
    }
    while (set->count > 0) {
        uint32_t n = set->count < CHUNK ? set->count : CHUNK;
        memcpy(out, &set->entry[set->count - n], n * sizeof *out);
        result = SYS(SYS_write, fd, out, n * sizeof *out);
        if (result < 0) break;
        set->count -= n;
    }
    if (set->count != before) index_again(set);
    return result < 0 ? result : 0;
}
