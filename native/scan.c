#include "error.h"
#include "nsfs.h"
#include "owned_fd.h"
#include "proc_stat.h"
#include "scan_table.h"

#include <fcntl.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define PROC_MAGIC 0x9fa0
#define ROWS_MAX (1u << 24) /* keeps every size below in 32 bits of rows; a kernel has at most 2^22 pids */

struct linux_dirent64 {
    __u64 d_ino;
    __s64 d_off;
    unsigned short d_reclen;
    unsigned char d_type;
    char d_name[];
};

struct scan {
    int proc;
    struct nsf_scan *head;
    struct nsf_process *processes;
    uint32_t process_max;
    struct nsf_table table;
};

/* The outcome of one process. HIDDEN: not even its stat may be read (hidepid=), so there is nothing to make a row of. */
enum outcome { KEPT, VANISHED, HIDDEN };

static uint64_t align8(uint64_t bytes) {
    return (bytes + 7) & ~(uint64_t)7;
}

uint64_t nsf_scan_bytes(uint32_t process_max, uint32_t namespace_max) {
    if (process_max > ROWS_MAX || namespace_max > ROWS_MAX)
        return UINT64_MAX;
    return align8(sizeof(struct nsf_scan)) + process_max * (uint64_t)sizeof(struct nsf_process) +
           namespace_max * (uint64_t)sizeof(struct nsf_namespace) + align8(namespace_max * sizeof(int32_t)) +
           nsf_table_slots(namespace_max) * sizeof(uint32_t);
}

/* A quarter of the descriptors, so that the other threads of the caller never run out because of a scan. */
static uint32_t pin_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    return limit.rlim_cur / 4 > ROWS_MAX ? ROWS_MAX : (uint32_t)(limit.rlim_cur / 4);
}

static void lay_out(struct scan *scan, void *buffer, uint32_t process_max, uint32_t namespace_max) {
    char *at = buffer;
    struct nsf_scan *head = buffer;
    memset(head, 0, sizeof *head);
    head->size = sizeof *head;
    head->version = NSF_ABI;
    head->process_bytes = sizeof(struct nsf_process);
    head->namespace_bytes = sizeof(struct nsf_namespace);
    head->process_offset = align8(sizeof *head);
    head->namespace_offset = head->process_offset + process_max * (uint64_t)sizeof(struct nsf_process);
    scan->head = head;
    scan->processes = (struct nsf_process *)(void *)(at + head->process_offset);
    scan->process_max = process_max;

    struct nsf_table *table = &scan->table;
    uint32_t slots = nsf_table_slots(namespace_max);
    memset(table, 0, sizeof *table);
    at += head->namespace_offset;
    table->rows = (struct nsf_namespace *)(void *)at;
    at += namespace_max * sizeof(struct nsf_namespace);
    table->pins = (int32_t *)(void *)at;
    at += align8(namespace_max * sizeof(int32_t));
    table->slots = (uint32_t *)(void *)at;
    table->max = namespace_max;
    table->mask = slots - 1;
    table->pin_max = pin_limit();
    memset(table->slots, 0, slots * sizeof *table->slots);
}

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
static int32_t read_link(struct scan *scan, int ns, int link) {
    char text[64];
    int type = nsf_link_type(link);
    ssize_t bytes = readlinkat(ns, nsf_link_names[link], text, sizeof text);
    if (bytes < 0)
        return -errno;
    int32_t index = nsf_table_find(&scan->table, type, link_inode(text, bytes));
    if (index >= 0)
        return index;
    int fd = openat(ns, nsf_link_names[link], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return nsf_table_resolve(&scan->table, type, fd);
}

static int is_fatal(int result) {
    return result == -ENOSPC || result == -EMFILE || result == -ENFILE || result == -ENOMEM;
}

static void count_members(struct scan *scan, const struct nsf_process *row) {
    for (int link = 0; link < NSF_TYPES; link++) {
        if (row->ns[link] < 0)
            continue;
        struct nsf_namespace *space = &scan->table.rows[row->ns[link]];
        space->process_count++;
        if (space->leader_pid == 0 || row->pid < space->leader_pid) {
            space->leader_pid = row->pid;
            space->leader_start_ticks = row->start_ticks;
        }
    }
}

/*
 * Every link of one process into ROW. What cannot be read is -1; *refused is the first errno that is not "there is
 * none". A zombie has left all but its user and pid namespace, so ENOENT alone says nothing about its end.
 */
static int read_links(struct scan *scan, int ns, struct nsf_process *row, int *refused) {
    int doubtful = 0;
    for (int link = 0; link < NSF_LINKS; link++) {
        row->ns[link] = read_link(scan, ns, link);
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
static int read_process(struct scan *scan, int ns, struct nsf_process *row, int *refused) {
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

static int scan_process(struct scan *scan, const char *name, struct nsf_error *error) {
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
        count_members(scan, row);
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

static int walk(struct scan *scan, struct nsf_error *error) {
    char entries[32768] __attribute__((aligned(8)));
    for (;;) {
        long bytes = syscall(SYS_getdents64, scan->proc, entries, sizeof entries);
        if (bytes < 0)
            return nsf_fail_errno(error, "read_proc", NULL);
        if (bytes == 0)
            return 0;
        for (long at = 0; at < bytes;) {
            const struct linux_dirent64 *entry = (const struct linux_dirent64 *)(void *)(entries + at);
            at += entry->d_reclen;
            if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
                continue;
            int result = scan_process(scan, entry->d_name, error);
            if (result < 0)
                return result;
        }
    }
}

static int open_proc(const char *path, struct nsf_error *error) {
    struct statfs about;
    NSF_OWNED_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return nsf_fail_errno(error, "open_proc", path);
    if (fstatfs(fd, &about) != 0)
        return nsf_fail_errno(error, "check_proc", path);
    if (about.f_type != PROC_MAGIC)
        return nsf_fail(error, ENODEV, "check_proc", path);
    int kept = fd;
    fd = -1;
    return kept;
}

int nsf_scan(const char *proc, uint32_t process_max, uint32_t namespace_max, void *buffer, uint64_t bytes,
             struct nsf_error *error) {
    struct scan scan;
    if (process_max == 0 || namespace_max == 0 || nsf_scan_bytes(process_max, namespace_max) > bytes)
        return nsf_fail(error, EINVAL, "buffer", NULL);
    lay_out(&scan, buffer, process_max, namespace_max);
    NSF_OWNED_FD opened = open_proc(proc, error);
    if (opened < 0)
        return opened;
    scan.proc = opened;
    int result = walk(&scan, error);
    nsf_table_unpin(&scan.table);
    scan.head->namespace_count = scan.table.count;
    scan.head->unpinned = scan.table.unpinned;
    if (result < 0)
        return result;
    if (scan.head->process_needed > process_max)
        return nsf_fail(error, ENOSPC, "process_rows", NULL);
    return 0;
}
