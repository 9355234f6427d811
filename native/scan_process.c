#include "scan_process.h"

#include "error.h"
#include "nsfs.h"
#include "owned_fd.h"
#include "proc_stat.h"
#include "proc_text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The outcome of one process. HIDDEN: not even its stat may be read (hidepid=), so there is nothing to make a row of. */
enum outcome { KEPT, VANISHED, HIDDEN };

/* Type and inode of a link's text, "net:[4026531840]"; 0 if it reads otherwise. */
static uint64_t link_inode(const char *text, ssize_t bytes) {
    const char *at = memchr(text, '[', (size_t)bytes);
    uint64_t inode = 0;
    if (!at)
        return 0;
    for (at++; at < text + bytes && *at >= '0' && *at <= '9'; at++)
        inode = inode * 10 + (uint64_t)(*at - '0');
    return inode;
}

/* Row of one link of the process whose ns directory is NS, or -errno. */
static int32_t read_link(struct nsf_walk *scan, int ns, int link) {
    char text[64];
    int type = nsf_link_type(link);
    ssize_t bytes = readlinkat(ns, nsf_link_names[link], text, sizeof text);
    if (bytes < 0)
        return -errno;
    int32_t index = nsf_table_find(&scan->table, type, link_inode(text, bytes));
    if (index >= 0 && scan->table.pins[index] != NSF_REMEMBERED)
        return index;
    int fd = openat(ns, nsf_link_names[link], O_RDONLY | O_CLOEXEC | NSF_PIN_FLAGS);
    if (fd < 0)
        return -errno;
    return nsf_table_resolve(&scan->table, type, fd);
}

/*
 * Row of a pid namespace for children that has no init yet: its link is not there then. The process that NS stands for still is when it was
 * asked, so the pid was its own.
 */
static int32_t read_unborn(struct nsf_walk *scan, int ns, int32_t pid) {
    struct nsf_stat again;
    int fd = nsf_nsfs_pid_for_children(pid, 0);
    if (fd < 0)
        return fd;
    int result = nsf_read_stat(ns, "../stat", &again);
    if (result == 0)
        return nsf_table_resolve(&scan->table, NSF_PID, fd);
    close(fd);
    return result;
}

static int is_fatal(int result) {
    return result == -ENOSPC || result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -ESTALE;
}

/*
 * Every link of one process into ROW. What cannot be read is -1; *refused is the first errno that is not "there is
 * none". A zombie has left all but its user and pid namespace, so ENOENT alone says nothing about its end.
 */
static int read_links(struct nsf_walk *scan, int ns, struct nsf_process *row, int *refused) {
    int doubtful = 0;
    for (int link = 0; link < NSF_LINKS; link++) {
        row->ns[link] = read_link(scan, ns, link);
        if (row->ns[link] == -ENOENT && link == NSF_PID_FOR_CHILDREN && row->ns[NSF_NET] >= 0)
            row->ns[link] = read_unborn(scan, ns, row->pid);
        if (row->ns[link] >= 0)
            continue;
        int result = row->ns[link];
        if (is_fatal(result))
            return result;
        doubtful = 1;
        row->ns[link] = -1;
        if (result != -ENOENT && *refused == 0)
            *refused = -result;
    }
    if (doubtful) {
        /* proc_ns_readlink answers EACCES, too, when the task ended between look-up and use: ask whether it is there. */
        struct nsf_stat again;
        if (nsf_read_stat(ns, "../stat", &again) != 0) {
            *refused = 0;
            return VANISHED;
        }
        row->state = (uint8_t)again.state;
    }
    return KEPT;
}

/*
 * Whether nothing of ROW can change while the process does not run, but its parent. One that runs just now may do so unseen until the next tick;
 * a thread may change the name of another one; and without an id a namespace cannot be told from the next one of its number.
 */
static int may_mark(const struct nsf_walk *scan, const struct nsf_process *row, uint64_t threads) {
    if (threads != 1 || row->state == 'R')
        return 0;
    for (int link = 0; link < NSF_LINKS; link++)
        if (row->ns[link] < 0 || scan->table.rows[row->ns[link]].id == 0)
            return 0;
    return 1;
}

/* The row of PID in the earlier pass, or NULL. Pids come in ascending order. */
static const struct nsf_process *find_before(struct nsf_walk *scan, int32_t pid) {
    const char *start = (const char *)scan->before;
    const struct nsf_process *rows = (const struct nsf_process *)(const void *)(start + scan->before->process_offset);
    while (scan->before_at < scan->before->process_count && rows[scan->before_at].pid < pid)
        scan->before_at++;
    return scan->before_at < scan->before->process_count && rows[scan->before_at].pid == pid ? &rows[scan->before_at] : NULL;
}

/* 1: the process has not run since the earlier pass, and ROW is as it was then. 0: it must be read. Or -errno. */
static int remember(struct nsf_walk *scan, int32_t pid, const struct nsf_runs *runs, struct nsf_process *row) {
    const struct nsf_process *old = find_before(scan, pid);
    if (!old || !(old->flags & NSF_PROCESS_MARKED) || !nsf_same_runs(&old->runs, runs))
        return 0;
    const char *start = (const char *)scan->before;
    const struct nsf_namespace *spaces = (const struct nsf_namespace *)(const void *)(start + scan->before->namespace_offset);
    *row = *old;
    row->flags |= NSF_PROCESS_REMEMBERED;
    for (int link = 0; link < NSF_LINKS; link++) {
        row->ns[link] = nsf_table_remember(&scan->table, spaces, old->ns[link]);
        if (row->ns[link] < 0)
            return row->ns[link];
    }
    return 1;
}

/*
 * NS is /proc/<pid>/ns, and all else is read through it: it stands for one process for good, so that once that has
 * ended nothing below is found, also if the pid is another one's by then. One open less than by /proc/<pid>.
 */
static int read_process(struct nsf_walk *scan, int ns, const struct nsf_runs *runs, struct nsf_process *row, int *refused) {
    struct statx about;
    struct nsf_stat stat;
    memset(row, 0, sizeof *row);
    if (statx(ns, "..", 0, STATX_UID, &about) != 0)
        return VANISHED;
    int result = nsf_read_stat(ns, "../stat", &stat);
    if (result == -ESRCH || is_fatal(result))
        return result == -ESRCH ? VANISHED : result;
    if (result < 0) {
        *refused = -result;
        return HIDDEN;
    }
    row->pid = stat.pid;
    row->ppid = stat.ppid;
    row->start_ticks = stat.start_ticks;
    row->uid = about.stx_uid;
    row->state = (uint8_t)stat.state;
    row->comm_bytes = stat.comm_bytes;
    memcpy(row->comm, stat.comm, sizeof row->comm);
    result = read_links(scan, ns, row, refused);
    if (runs && result == KEPT && *refused == 0 && may_mark(scan, row, stat.threads)) {
        row->flags = NSF_PROCESS_MARKED;
        row->runs = *runs;
    }
    return result;
}

static void count_refused(struct nsf_scan *head, int errnum) {
    if (errnum == EACCES)
        head->unreadable_eacces++;
    else if (errnum == EPERM)
        head->unreadable_eperm++;
    else if (errnum != 0)
        head->unreadable_other++;
}

static int open_ns(int proc, const char *name) {
    char path[32];
    size_t bytes = strnlen(name, sizeof path - sizeof "/ns");
    memcpy(path, name, bytes);
    memcpy(path + bytes, "/ns", sizeof "/ns");
    return openat(proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* One process into ROW: an outcome, or -errno. */
static int take_process(struct nsf_walk *scan, const char *name, struct nsf_process *row, int *refused) {
    struct nsf_runs runs;
    /* Before all else: what it does while it is read makes other numbers. */
    int counted = scan->before && nsf_read_runs(scan->proc, name, &runs);
    if (counted) {
        int result = remember(scan, (int32_t)strtol(name, NULL, 10), &runs, row);
        if (result != 0)
            return result < 0 ? result : KEPT;
    }
    NSF_OWNED_FD ns = open_ns(scan->proc, name);
    if (ns >= 0)
        return read_process(scan, ns, counted ? &runs : NULL, row, refused);
    if (is_fatal(-errno))
        return -errno;
    if (errno == ENOENT || errno == ESRCH)
        return VANISHED;
    *refused = errno;
    return HIDDEN;
}

int nsf_scan_process(struct nsf_walk *scan, const char *name, struct nsf_error *error) {
    struct nsf_scan *head = scan->head;
    uint32_t known = scan->table.count;
    int refused = 0;
    if (head->process_count == scan->process_max) {
        head->process_needed++; /* counts on, so that the caller grows once */
        return 0;
    }
    struct nsf_process *row = &scan->processes[head->process_count];
    int result = take_process(scan, name, row, &refused);
    count_refused(head, refused);
    if (result == KEPT) {
        head->process_needed++;
        head->process_count++;
        nsf_count_members(scan->table.rows, row);
        return 0;
    }
    /* It was alone in whatever it brought; a namespace that it shared is seen again with the next one. */
    nsf_table_truncate(&scan->table, known);
    head->vanished += result == VANISHED;
    if (result >= 0)
        return 0;
    if (result == -ENOSPC) {
        head->namespace_needed = scan->table.max * 4; /* nobody knows; each try costs a scan */
        return nsf_fail(error, ENOSPC, "namespace_rows", NULL);
    }
    return nsf_fail(error, -result, "read_process", name);
}
