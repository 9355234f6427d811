#include "error.h"
#include "owned_fd.h"
#include "proc_list.h"
#include "proc_stat.h"
#include "scan_process.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#define ROWS_MAX (1u << 24) /* keeps every size below in 32 bits of rows; a kernel has at most 2^22 pids */

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

uint32_t nsf_pin_limit(uint32_t parts) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    uint64_t share = limit.rlim_cur / 4 / parts;
    return share > ROWS_MAX ? ROWS_MAX : (uint32_t)share;
}

void nsf_scan_lay_out(struct nsf_walk *scan, void *buffer, uint32_t process_max, uint32_t namespace_max) {
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
    scan->before = NULL;
    scan->before_at = 0;

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
    memset(table->slots, 0, slots * sizeof *table->slots);
}

static int walk(struct nsf_walk *scan, uint32_t part, uint32_t parts, struct nsf_error *error) {
    struct nsf_list list;
    nsf_list_start(&list, scan->proc);
    for (const char *name; (name = nsf_list_next(&list));) {
        int result = nsf_is_in_part(name, part, parts) ? nsf_scan_process(scan, name, error) : 0;
        if (result < 0)
            return result;
    }
    return list.errnum == 0 ? 0 : nsf_fail(error, list.errnum, "read_proc", NULL);
}

int nsf_scan(const char *proc, uint32_t part, uint32_t parts, const void *before, uint32_t process_max, uint32_t namespace_max,
             void *buffer, uint64_t bytes, struct nsf_error *error) {
    struct nsf_walk scan;
    if (before == buffer)
        return nsf_fail(error, EINVAL, "before", NULL);
    if (part >= parts)
        return nsf_fail(error, EINVAL, "part", NULL);
    if (process_max == 0 || namespace_max == 0 || nsf_scan_bytes(process_max, namespace_max) > bytes)
        return nsf_fail(error, EINVAL, "buffer", NULL);
    nsf_scan_lay_out(&scan, buffer, process_max, namespace_max);
    scan.before = before;
    NSF_OWNED_FD opened = nsf_open_proc(proc, error);
    if (opened < 0)
        return opened;
    scan.proc = opened;
    scan.table.pin_max = nsf_pin_limit(parts);
    int result = walk(&scan, part, parts, error);
    nsf_table_unpin(&scan.table);
    scan.head->namespace_count = scan.table.count;
    scan.head->unpinned = scan.table.unpinned;
    if (result < 0)
        return result;
    if (scan.head->process_needed > process_max)
        return nsf_fail(error, ENOSPC, "process_rows", NULL);
    return 0;
}
