#include "error.h"
#include "owned_fd.h"
#include "proc_stat.h"
#include "raw_syscall.h"
#include "scan_process.h"

#include <stdio.h>
#include <unistd.h>

#define NR_PIDFD_OPEN 434

/* /proc/<tid> is there for every thread, though not listed. pidfd_open(2) refuses a thread: EINVAL, ENOENT from Linux 6.9 on. */
static int is_thread(int32_t pid) {
    long fd = nsf_raw(NR_PIDFD_OPEN, pid, 0, 0, 0, 0);
    if (fd >= 0)
        close((int)fd);
    return fd == -EINVAL || fd == -ENOENT;
}

static int read_each(struct nsf_walk *scan, const int32_t *pids, uint32_t count, struct nsf_error *error) {
    for (uint32_t i = 0; i < count; i++) {
        char name[16];
        if (pids[i] <= 0)
            return nsf_fail(error, EINVAL, "pids", NULL);
        if (is_thread(pids[i]))
            continue;
        snprintf(name, sizeof name, "%d", pids[i]);
        int result = nsf_scan_process(scan, name, error);
        if (result < 0)
            return result;
    }
    return 0;
}

int nsf_scan_pids(const char *proc, const int32_t *pids, uint32_t count, uint32_t process_max, uint32_t namespace_max, void *buffer,
                  uint64_t bytes, struct nsf_error *error) {
    struct nsf_walk scan;
    if (process_max == 0 || namespace_max == 0 || nsf_scan_bytes(process_max, namespace_max) > bytes)
        return nsf_fail(error, EINVAL, "buffer", NULL);
    nsf_scan_lay_out(&scan, buffer, process_max, namespace_max);
    NSF_OWNED_FD opened = nsf_open_proc(proc, error);
    if (opened < 0)
        return opened;
    scan.proc = opened;
    scan.table.pin_max = nsf_pin_limit(1);
    int result = read_each(&scan, pids, count, error);
    nsf_table_unpin(&scan.table);
    scan.head->namespace_count = scan.table.count;
    scan.head->unpinned = scan.table.unpinned;
    if (result < 0)
        return result;
    if (scan.head->process_needed > process_max)
        return nsf_fail(error, ENOSPC, "process_rows", NULL);
    return 0;
}
