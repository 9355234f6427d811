/* `shim watch`: hears of changes to processes and namespaces, coalesces them, and writes records to WATCH_OUTPUT_FD. */
#ifndef NSFLEET_SHIM_WATCH_H
#define NSFLEET_SHIM_WATCH_H

#include <poll.h>
#include <stdint.h>

/* The descriptors that the agent gives to `shim watch`. */
enum { WATCH_TABLE_FD = 3 /* memfd of struct watch_event */, WATCH_OUTPUT_FD = 4 /* a pipe */, WATCH_INSTANCES_FD = 5 /* tracefs */ };

/* What happened to a process; agent/inventory/change-records.ts repeats the numbers. */
enum {
    WATCH_NEW = 1,        /* born */
    WATCH_CHANGE = 2,     /* other program, name or ids */
    WATCH_EXIT = 4,       /* about to leave its namespaces; a zombie then */
    WATCH_GONE = 8,       /* no pid any more */
    WATCH_NAMESPACES = 16, /* joined or made some; may be a thread's id */
    WATCH_MOUNT = 32,
    /* of nobody: pid 0, or an errno with FAILED */
    WATCH_LOST = 1 << 16, /* events are missing before this */
    WATCH_READY = 1 << 17, /* an event of the watcher's own was heard */
    WATCH_FAILED = 1 << 18
};

struct watch_record {
    uint32_t pid, kinds;
};

/* What one trace event means: event id, and the place of the pid in its binary form. */
struct watch_event {
    uint32_t id, pid_offset, kinds;
};

#define WATCH_EVENTS_MAX 64u
#define WATCH_PIDS_MAX 4096u
#define WATCH_SLOTS (2 * WATCH_PIDS_MAX)

/* What is to be told, one record a pid. Of a pid that was born and is gone again only that is told. */
struct watch_set {
    struct watch_record entry[WATCH_PIDS_MAX];
    uint16_t slot[WATCH_SLOTS]; /* entry + 1 */
    uint32_t count, lost;
};

void watch_set_add(struct watch_set *set, uint32_t pid, uint32_t kinds);
void watch_set_lose(struct watch_set *set);
/* Writes what fits into the pipe. 0, or -EAGAIN if some is left, or -errno: nobody reads any more. */
int watch_set_write(struct watch_set *set, int fd);

/* A source of events; both fill `polled` and read without waiting. */
#define WATCH_SOURCES_MAX 1024u
struct watch_source {
    struct pollfd polled[WATCH_SOURCES_MAX + 1]; /* the last is the output */
    uint32_t count;
    uint32_t events;
    struct watch_event event[WATCH_EVENTS_MAX];
    /* Reads what is there into the set. 1: something was, 0: nothing, or -errno. */
    int (*read)(struct watch_source *source, struct watch_set *set);
    /* Makes one event of this process's own. */
    void (*probe)(void);
};

/* One page of the kernel's ring buffer (trace_pipe_raw). Ignores what is malformed. Returns whether it held an event. */
int watch_ring_page(const struct watch_source *source, const unsigned char *page, uint32_t bytes, struct watch_set *set);

/* 0 or -errno. */
int watch_tracefs_open(struct watch_source *source, const char *instance);
int watch_connector_open(struct watch_source *source);

/* mode is "tracefs" with an instance's name, which is removed at the end, or "connector". The exit status. */
int watch_main(const char *mode, const char *instance);

#endif
