#include "scan_process.h"

#include "error.h"
#include "nsfs.h"
#include "owned_fd.h"
#include "proc_stat.h"

#include <fcntl.h>
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
    if (index >= 0)
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
    return result == -ENOSPC || result == -EMFILE || result == -ENFILE || result == -ENOMEM;
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
 * NS is /proc/<pid>/ns, and all else is read through it: it stands for one process for good, so that once that has
 * ended nothing below is found, also if the pid is another one's by then. One open less than by /proc/<pid>.
 */
static int read_process(struct nsf_walk *scan, int ns, struct nsf_process *row, int *refused) {
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
    return read_links(scan, ns, row, refused);
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

int nsf_scan_process(struct nsf_walk *scan, const char *name, struct nsf_error *error) {
    struct nsf_scan *head = scan->head;
    uint32_t known = scan->table.count;
    int refused = 0;
    NSF_OWNED_FD ns = open_ns(scan->proc, name);
    if (ns < 0) {
        if (is_fatal(-errno))
            return nsf_fail_errno(error, "open_process", name);
        if (errno == ENOENT || errno == ESRCH)
            head->vanished++;
        else
            count_refused(head, errno);
        return 0;
    }
    head->process_needed++;
    if (scan->process_max < head->process_needed)
        return 0; /* counts on, so that the caller grows once */
    struct nsf_process *row = &scan->processes[head->process_count];
    int result = read_process(scan, ns, row, &refused);
    count_refused(head, refused);
    if (result == KEPT) {
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
