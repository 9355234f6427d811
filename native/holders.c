#include "holders.h"

#include "error.h"
#include "owned_fd.h"
#include "proc_list.h"
#include "proc_stat.h"
#include "proc_text.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Directory links of procfs: "." and "..", then one for each thread in /proc/<pid>/task (fs/proc/base.c, proc_task_getattr). */
#define TASK_LINKS 2

int32_t nsf_entry_number(const char *name) {
    int32_t number = 0;
    for (; *name; name++)
        if (*name < '0' || *name > '9' || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *name - '0', &number))
            return -1;
    return number;
}

/* Who it is, read when there is something to say of it. False if it has ended. */
static int read_place(struct nsf_place *place) {
    struct nsf_stat stat;
    struct statx about;
    if (place->stat_read)
        return place->stat_read > 0;
    place->stat_read = -1;
    if (statx(place->dir, "..", 0, STATX_UID, &about) != 0 || nsf_read_stat(place->dir, "../stat", &stat) != 0)
        return 0;
    place->stat_read = 1;
    place->uid = about.stx_uid;
    place->start_ticks = stat.start_ticks;
    place->comm_bytes = stat.comm_bytes;
    memcpy(place->comm, stat.comm, sizeof place->comm);
    return 1;
}

static int is_known(const struct nsf_search *search, const struct nsf_place *place, int kind, int32_t ns) {
    const struct nsf_finding *found = &search->found;
    for (uint32_t row = place->first_row; row < found->head->reference_count; row++)
        if (found->rows[row].ns == ns && found->rows[row].kind == kind && found->rows[row].tid == place->tid)
            return 1;
    return 0;
}

struct nsf_reference *nsf_search_add(struct nsf_search *search, struct nsf_place *place, int kind, int32_t ns, int32_t fd,
                                     const void *text, size_t bytes) {
    if (is_known(search, place, kind, ns) || !read_place(place))
        return NULL;
    struct nsf_reference *row = nsf_finding_add(&search->found, kind, ns, text, bytes);
    if (!row)
        return NULL;
    row->pid = place->pid;
    row->tid = place->tid;
    row->fd = fd;
    row->start_ticks = place->start_ticks;
    row->uid = place->uid;
    row->comm_bytes = place->comm_bytes;
    memcpy(row->comm, place->comm, sizeof row->comm);
    return row;
}

static int search_place(struct nsf_search *search, struct nsf_place *place, uint32_t *threads) {
    struct statx about;
    int result = nsf_search_descriptors(search, place, place->dir);
    if (result < 0)
        return result;
    /* Their number without reading stat, which takes the kernel longer. */
    if (statx(place->dir, "../task", AT_STATX_DONT_SYNC, STATX_NLINK, &about) != 0 || about.stx_nlink <= TASK_LINKS)
        return 0;
    *threads = about.stx_nlink - TASK_LINKS;
    return *threads > 1 ? nsf_search_threads(search, place) : 0;
}

static int open_descriptors(int proc, const char *name) {
    char path[32];
    size_t bytes = strnlen(name, sizeof path - sizeof "/fd");
    memcpy(path, name, bytes);
    memcpy(path + bytes, "/fd", sizeof "/fd");
    return openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static uint64_t hidden_so_far(const struct nsf_found *head) {
    uint64_t sum = 0;
    for (int reason = 0; reason < NSF_HIDDEN_REASONS; reason++)
        sum += head->hidden[reason];
    return sum;
}

static int look_into(struct nsf_search *search, const char *name, uint32_t *threads) {
    NSF_OWNED_FD dir = open_descriptors(search->proc, name);
    if (dir < 0) {
        if (nsf_is_fatal(-errno))
            return -errno;
        search->found.head->vanished += errno == ENOENT || errno == ESRCH;
        nsf_finding_hide(&search->found, NSF_HIDDEN_FD, errno);
        return 0;
    }
    struct nsf_place place = {
        .dir = dir,
        .pid = nsf_entry_number(name),
        .first_row = search->found.head->reference_needed,
        .pidfd = -1,
        .likely_pins = -1,
    };
    int result = search_place(search, &place, threads);
    if (place.pidfd >= 0)
        close(place.pidfd);
    return result;
}

/* A row that says: as the last time. */
static void add_same(struct nsf_search *search, int32_t pid) {
    struct nsf_reference *row = nsf_finding_add(&search->found, NSF_SAME, -1, NULL, 0);
    if (row)
        row->pid = pid;
}

/*
 * One that has not run since is not looked into again. Others than itself cannot give it a descriptor or a namespace, or take one; if it
 * shares its descriptors with another process, that one has run.
 */
static int search_process(struct nsf_search *search, const char *name) {
    struct nsf_found *head = search->found.head;
    struct nsf_runs runs;
    int32_t pid = nsf_entry_number(name);
    uint32_t threads = 0;
    head->processes++;
    /* Read first: what it does while it is looked into makes another number. */
    int counted = search->idle && nsf_read_runs(search->proc, name, &runs);
    const struct nsf_idle_process *idle = counted ? nsf_recall_idle(search, pid, &runs) : NULL;
    if (idle) {
        head->idle++;
        head->threads_present++;
        if (idle->held > 0)
            add_same(search, pid);
        return 0;
    }
    uint32_t rows = head->reference_needed;
    uint64_t hidden = hidden_so_far(head);
    int result = look_into(search, name, &threads);
    head->threads_present += threads;
    if (counted && result == 0 && threads == 1 && hidden == hidden_so_far(head))
        nsf_remember_idle(search, pid, &runs, head->reference_needed - rows);
    return result;
}

static int search_all(struct nsf_search *search, uint32_t part, uint32_t parts, struct nsf_error *error) {
    struct nsf_list list;
    nsf_list_start(&list, search->proc);
    for (const char *name; (name = nsf_list_next(&list));) {
        int result = nsf_is_in_part(name, part, parts) ? search_process(search, name) : 0;
        if (result < 0)
            return nsf_fail(error, -result, "search_process", name);
    }
    return list.errnum == 0 ? 0 : nsf_fail(error, list.errnum, "read_proc", NULL);
}

static int search_some(struct nsf_search *search, const int32_t *pids, uint32_t count, struct nsf_error *error) {
    char name[16];
    for (uint32_t at = 0; at < count; at++) {
        snprintf(name, sizeof name, "%d", pids[at]);
        int result = search_process(search, name);
        if (result < 0)
            return nsf_fail(error, -result, "search_process", name);
    }
    return 0;
}

/*
 * hidepid=invisible and =ptraceable leave processes of others out of the list, pid 1 first of all. How many is the difference to the kernel's own
 * count of threads, which stands behind the slash in loadavg.
 */
static void count_invisible(struct nsf_search *search) {
    char text[128];
    struct statx about;
    if (statx(search->proc, "1", AT_STATX_DONT_SYNC, STATX_TYPE, &about) == 0)
        return;
    NSF_OWNED_FD load = openat(search->proc, "loadavg", O_RDONLY | O_CLOEXEC);
    ssize_t bytes = load < 0 ? -1 : read(load, text, sizeof text);
    search->found.head->threads_counted = bytes <= 0 ? 0 : nsf_parse_threads(text, (size_t)bytes);
}

static void know_oneself(struct nsf_search *search) {
    struct statx about;
    search->own_uid = geteuid();
    if (statx(AT_FDCWD, "/proc/self/exe", 0, STATX_INO, &about) != 0)
        return;
    search->own_inode = about.stx_ino;
    search->own_dev = makedev(about.stx_dev_major, about.stx_dev_minor);
}

static int is_power_of_two(uint32_t number) {
    return number != 0 && (number & (number - 1)) == 0;
}

int nsf_references(const char *proc, const struct nsf_inquiry *inquiry, const struct nsf_room *room, void *buffer,
                   uint64_t bytes, struct nsf_error *error) {
    struct nsf_search search;
    memset(&search, 0, sizeof search);
    if (inquiry->part >= inquiry->parts || inquiry->pass == 0)
        return nsf_fail(error, EINVAL, "part", NULL);
    if ((inquiry->sockets != 0 && !is_power_of_two(inquiry->socket_slots)) ||
        (inquiry->idle != 0 && !is_power_of_two(inquiry->idle_slots)))
        return nsf_fail(error, EINVAL, "slots", NULL);
    NSF_OWNED_FD opened = nsf_open_proc(proc, error);
    if (opened < 0)
        return opened;
    if (nsf_finding_start(&search.found, room, buffer, bytes, inquiry->parts) < 0)
        return nsf_fail(error, EINVAL, "buffer", NULL);
    search.proc = opened;
    search.sockets = (struct nsf_known_socket *)(uintptr_t)inquiry->sockets;
    search.socket_mask = inquiry->sockets == 0 ? 0 : inquiry->socket_slots - 1;
    search.socket_max = inquiry->sockets == 0 ? 0 : inquiry->socket_slots / 4 * 3;
    search.pass = inquiry->pass;
    search.found.head->sockets_known = inquiry->sockets_known;
    search.idle = (struct nsf_idle_process *)(uintptr_t)inquiry->idle;
    search.idle_mask = inquiry->idle == 0 ? 0 : inquiry->idle_slots - 1;
    search.idle_max = inquiry->idle == 0 ? 0 : inquiry->idle_slots / 4 * 3;
    search.found.head->idle_known = inquiry->idle_known;
    know_oneself(&search);
    const int32_t *pids = (const int32_t *)(uintptr_t)inquiry->pids;
    int result = inquiry->pid_count > 0 ? search_some(&search, pids, inquiry->pid_count, error)
                                        : search_all(&search, inquiry->part, inquiry->parts, error);
    if (result == 0 && inquiry->pid_count == 0 && inquiry->part == 0)
        count_invisible(&search);
    return nsf_finding_end(&search.found, result, error);
}
