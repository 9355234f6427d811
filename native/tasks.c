#include "error.h"
#include "owned_fd.h"
#include "scan_table.h"
#include "task_spaces.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define BPF_ITER_CREATE 33 /* linux/bpf.h since 5.8; the floor of what may build this is older */
#define READ_BYTES 32768u  /* what the kernel hands out at most, with pages of 4 KiB */
#define ROWS_MAX (1u << 24)
#define RETRIES_MAX 1000 /* of one task whose namespaces change whenever it is looked at */

_Static_assert((int)NSF_RECORD_LINKS == (int)NSF_LINKS, "the iterator writes a key for each link");

/* One pass under way. */
struct pass {
    struct nsf_tasks *head;
    struct nsf_process *processes;
    struct nsf_thread *threads;
    uint32_t process_max;
    uint32_t thread_max;
    uint64_t tick_ns;
    struct nsf_spaces spaces;
};

static uint64_t align8(uint64_t bytes) {
    return (bytes + 7) & ~(uint64_t)7;
}

uint64_t nsf_tasks_bytes(uint32_t process_max, uint32_t namespace_max, uint32_t thread_max) {
    if (process_max > ROWS_MAX || namespace_max > ROWS_MAX || thread_max > ROWS_MAX)
        return UINT64_MAX;
    return align8(sizeof(struct nsf_tasks)) + process_max * (uint64_t)sizeof(struct nsf_process) +
           namespace_max * (uint64_t)(sizeof(struct nsf_namespace) + sizeof(struct nsf_space_keys)) +
           thread_max * (uint64_t)sizeof(struct nsf_thread) + nsf_table_slots(namespace_max) * sizeof(uint32_t);
}

static void lay_out(struct pass *pass, void *buffer, uint32_t process_max, uint32_t namespace_max, uint32_t thread_max) {
    char *at = buffer;
    struct nsf_tasks *head = buffer;
    memset(pass, 0, sizeof *pass);
    memset(head, 0, sizeof *head);
    head->scan.size = sizeof *head;
    head->scan.version = NSF_ABI;
    head->scan.process_bytes = sizeof(struct nsf_process);
    head->scan.namespace_bytes = sizeof(struct nsf_namespace);
    head->thread_bytes = sizeof(struct nsf_thread);
    head->scan.process_offset = align8(sizeof *head);
    head->scan.namespace_offset = head->scan.process_offset + process_max * (uint64_t)sizeof(struct nsf_process);
    head->thread_offset = head->scan.namespace_offset + namespace_max * (uint64_t)sizeof(struct nsf_namespace);
    pass->head = head;
    pass->processes = (struct nsf_process *)(void *)(at + head->scan.process_offset);
    pass->process_max = process_max;
    pass->threads = (struct nsf_thread *)(void *)(at + head->thread_offset);
    pass->thread_max = thread_max;

    struct nsf_spaces *spaces = &pass->spaces;
    uint32_t slots = nsf_table_slots(namespace_max);
    spaces->rows = (struct nsf_namespace *)(void *)(at + head->scan.namespace_offset);
    at += head->thread_offset + thread_max * sizeof(struct nsf_thread);
    spaces->keys = (struct nsf_space_keys *)(void *)at;
    at += namespace_max * sizeof(struct nsf_space_keys);
    spaces->slots = (uint32_t *)(void *)at;
    spaces->max = namespace_max;
    spaces->mask = slots - 1;
    memset(spaces->slots, 0, slots * sizeof *spaces->slots);
}

/* The letter of stat(5), as fs/proc/array.c get_task_state finds it. */
static uint8_t state_letter(uint32_t state, uint32_t exit_state) {
    uint32_t told = (state | exit_state) & 0x7f;
    if ((state & 0x402) == 0x402) /* TASK_IDLE: waits, but not as load */
        return 'I';
    if (state & 0x9000) /* TASK_RTLOCK_WAIT, TASK_FROZEN */
        return 'D';
    return told == 0 ? 'R' : (uint8_t)"SDTtXZP"[31 - __builtin_clz(told)];
}

static void find_rows(const struct pass *pass, const struct nsf_task_record *record, int32_t ns[NSF_LINKS]) {
    for (int link = 0; link < NSF_LINKS; link++)
        ns[link] = nsf_spaces_find(&pass->spaces, record->keys[link]);
}

static void take_process(struct pass *pass, const struct nsf_task_record *record) {
    struct nsf_scan *head = &pass->head->scan;
    if (head->process_needed++ >= pass->process_max)
        return; /* counts on, so that the caller grows once */
    struct nsf_process *row = &pass->processes[head->process_count++];
    memset(row, 0, sizeof *row);
    row->start_ticks = record->start_ns / pass->tick_ns;
    row->pid = record->pid;
    row->ppid = record->ppid;
    row->uid = record->uid;
    row->state = state_letter(record->state, record->exit_state);
    row->comm_bytes = (uint8_t)strnlen(record->comm, sizeof record->comm);
    memcpy(row->comm, record->comm, row->comm_bytes);
    find_rows(pass, record, row->ns);
    nsf_count_members(pass->spaces.rows, row);
}

static void take_thread(struct pass *pass, const struct nsf_task_record *record) {
    struct nsf_tasks *head = pass->head;
    if (head->thread_needed++ >= pass->thread_max)
        return;
    struct nsf_thread *row = &pass->threads[head->thread_count++];
    memset(row, 0, sizeof *row);
    row->start_ticks = record->start_ns / pass->tick_ns;
    row->pid = record->pid;
    row->tid = record->tid;
    row->flags = record->flags & NSF_TASK_OWN_FILES ? NSF_THREAD_OWN_FILES : 0;
    find_rows(pass, record, row->ns);
}

/* Bytes that were used of SIZE: whole records only. -EPROTO: a record of no kind that is known here. */
static long take_records(struct pass *pass, const char *bytes, size_t size) {
    size_t at = 0;
    for (;;) {
        union {
            uint32_t kind;
            struct nsf_task_record task;
            struct nsf_namespace_record space;
        } record;
        if (size - at < sizeof record.kind)
            return (long)at;
        memcpy(&record.kind, bytes + at, sizeof record.kind);
        size_t length = record.kind == NSF_RECORD_TASK ? sizeof record.task : sizeof record.space;
        if (record.kind != NSF_RECORD_TASK && record.kind != NSF_RECORD_NAMESPACE)
            return -EPROTO;
        if (size - at < length)
            return (long)at;
        memcpy(&record, bytes + at, length);
        at += length;
        if (record.kind == NSF_RECORD_NAMESPACE)
            nsf_spaces_add(&pass->spaces, &record.space);
        else if (record.task.flags & NSF_TASK_THREAD)
            take_thread(pass, &record.task);
        else
            take_process(pass, &record.task);
    }
}

static int read_tasks(struct pass *pass, int32_t link, struct nsf_error *error) {
    struct {
        uint32_t link_fd;
        uint32_t flags;
    } attributes = {.link_fd = (uint32_t)link};
    char bytes[READ_BYTES] __attribute__((aligned(8)));
    size_t held = 0;
    int retries = 0;
    NSF_OWNED_FD tasks = (int)syscall(SYS_bpf, BPF_ITER_CREATE, &attributes, sizeof attributes);
    if (tasks < 0)
        return nsf_fail_errno(error, "create_iterator", NULL);
    for (;;) {
        ssize_t more = read(tasks, bytes + held, sizeof bytes - held);
        /* EAGAIN: the first task of this read changed its namespaces while it was looked at; it comes again. */
        if (more < 0 && (errno == EINTR || errno == EAGAIN) && retries++ < RETRIES_MAX)
            continue;
        if (more < 0)
            return nsf_fail_errno(error, "read_tasks", NULL);
        if (more == 0)
            return held == 0 ? 0 : nsf_fail(error, EPROTO, "read_tasks", "a record was cut");
        retries = 0;
        held += (size_t)more;
        long used = take_records(pass, bytes, held);
        if (used < 0)
            return nsf_fail(error, EPROTO, "read_tasks", "a record of an unknown kind");
        held -= (size_t)used;
        memmove(bytes, bytes + used, held);
    }
}

/* The device of nsfs, which no record tells. */
static int read_dev(struct pass *pass, struct nsf_error *error) {
    struct statx about;
    if (statx(AT_FDCWD, "/proc/self/ns/user", 0, STATX_INO, &about) != 0)
        return nsf_fail_errno(error, "stat_namespace", "/proc/self/ns/user");
    pass->spaces.dev = makedev(about.stx_dev_major, about.stx_dev_minor);
    return 0;
}

int nsf_tasks(int32_t link, uint32_t process_max, uint32_t namespace_max, uint32_t thread_max, void *buffer, uint64_t bytes,
              struct nsf_error *error) {
    struct pass pass;
    if (process_max == 0 || namespace_max == 0 || nsf_tasks_bytes(process_max, namespace_max, thread_max) > bytes)
        return nsf_fail(error, EINVAL, "buffer", NULL);
    lay_out(&pass, buffer, process_max, namespace_max, thread_max);
    pass.tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    int result = read_dev(&pass, error);
    if (result == 0)
        result = read_tasks(&pass, link, error);
    if (result < 0)
        return result;
    nsf_spaces_link(&pass.spaces);
    struct nsf_tasks *head = pass.head;
    head->scan.namespace_count = pass.spaces.count;
    head->scan.namespace_needed = pass.spaces.count + pass.spaces.left_out;
    if (pass.spaces.left_out > 0)
        return nsf_fail(error, ENOSPC, "namespace_rows", NULL);
    if (head->scan.process_needed > process_max)
        return nsf_fail(error, ENOSPC, "process_rows", NULL);
    return head->thread_needed > thread_max ? nsf_fail(error, ENOSPC, "thread_rows", NULL) : 0;
}
