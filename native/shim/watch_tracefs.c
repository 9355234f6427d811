#include "watch.h"

#include "sys.h"
#include "text.h"

#include <poll.h>

#define PAGE_MAX 65536u /* the largest page; a read gives at most one */
#define PAGES_A_TURN 64 /* of one CPU, so that none is left unread for long */
#define CLONE_FS_FLAG 0x200

static int read_rings(struct watch_source *source, struct watch_set *set) {
    static unsigned char page[PAGE_MAX];
    int heard = 0;
    for (uint32_t i = 0; i < source->count; i++) {
        for (int turn = 0; turn < PAGES_A_TURN; turn++) {
            int bytes = SYS(SYS_read, source->polled[i].fd, page, sizeof page);
            if (bytes <= 0) {
                if (bytes == -EAGAIN || bytes == -EINTR || bytes == 0) break;
                return bytes;
            }
            heard |= watch_ring_page(source, page, (uint32_t)bytes, set);
        }
    }
    return heard;
}

/* unshare(CLONE_FS) of a process that shares nothing changes nothing, needs no privilege, and passes the syscall tracepoints. */
static void probe(void) {
    SYS(SYS_unshare, CLONE_FS_FLAG);
}

static int read_table(struct watch_source *source) {
    int bytes = SYS(SYS_pread64, WATCH_TABLE_FD, source->event, sizeof source->event, 0);
    if (bytes < 0) return bytes;
    source->events = (uint32_t)bytes / sizeof *source->event;
    return source->events > 0 ? 0 : -EINVAL;
}

/* CPUs are numbered from 0 to the highest possible one; numbers may be missing. */
static int open_rings(struct watch_source *source, const char *instance) {
    for (uint32_t cpu = 0; cpu < WATCH_SOURCES_MAX; cpu++) {
        char path[256];
        struct text text = TEXT(path);
        text_add(&text, instance);
        text_add(&text, "/per_cpu/cpu");
        text_number(&text, cpu);
        text_add(&text, "/trace_pipe_raw");
        int fd = SYS(SYS_openat, WATCH_INSTANCES_FD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
        if (fd == -ENOENT) continue;
        if (fd < 0) return fd;
        source->polled[source->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    return source->count > 0 ? 0 : -ENOENT;
}

int watch_tracefs_open(struct watch_source *source, const char *instance) {
    int result = read_table(source);
    source->read = read_rings;
    source->probe = probe;
    return result < 0 ? result : open_rings(source, instance);
}
