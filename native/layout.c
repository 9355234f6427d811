#include "error.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

struct field {
    const char *name;
    size_t offset;
    size_t size;
};

#define WHOLE(type) {#type, 0, sizeof(struct type)}
#define FIELD(type, name) {#type "." #name, offsetof(struct type, name), sizeof(((struct type *)0)->name)}

static const struct field fields[] = {
    WHOLE(nsf_error),
    FIELD(nsf_error, errnum),
    FIELD(nsf_error, step),
    FIELD(nsf_error, detail),
    WHOLE(nsf_scan),
    FIELD(nsf_scan, size),
    FIELD(nsf_scan, version),
    FIELD(nsf_scan, process_offset),
    FIELD(nsf_scan, namespace_offset),
    FIELD(nsf_scan, process_count),
    FIELD(nsf_scan, process_bytes),
    FIELD(nsf_scan, namespace_count),
    FIELD(nsf_scan, namespace_bytes),
    FIELD(nsf_scan, process_needed),
    FIELD(nsf_scan, namespace_needed),
    FIELD(nsf_scan, vanished),
    FIELD(nsf_scan, unreadable_eacces),
    FIELD(nsf_scan, unreadable_eperm),
    FIELD(nsf_scan, unreadable_other),
    FIELD(nsf_scan, unpinned),
    WHOLE(nsf_process),
    FIELD(nsf_process, start_ticks),
    FIELD(nsf_process, pid),
    FIELD(nsf_process, ppid),
    FIELD(nsf_process, uid),
    FIELD(nsf_process, state),
    FIELD(nsf_process, comm_bytes),
    FIELD(nsf_process, comm),
    FIELD(nsf_process, ns),
    WHOLE(nsf_namespace),
    FIELD(nsf_namespace, id),
    FIELD(nsf_namespace, inode),
    FIELD(nsf_namespace, dev),
    FIELD(nsf_namespace, owner_uid),
    FIELD(nsf_namespace, leader_start_ticks),
    FIELD(nsf_namespace, leader_pid),
    FIELD(nsf_namespace, type),
    FIELD(nsf_namespace, parent),
    FIELD(nsf_namespace, owner),
    FIELD(nsf_namespace, process_count),
    WHOLE(nsf_relation),
    FIELD(nsf_relation, id),
    FIELD(nsf_relation, inode),
    FIELD(nsf_relation, dev),
    FIELD(nsf_relation, parent_id),
    FIELD(nsf_relation, parent_inode),
    FIELD(nsf_relation, owner_id),
    FIELD(nsf_relation, owner_inode),
    FIELD(nsf_relation, owner_uid),
    FIELD(nsf_relation, type),
    WHOLE(nsf_child),
    FIELD(nsf_child, start_ticks),
    FIELD(nsf_child, pid),
    FIELD(nsf_child, pidfd),
    WHOLE(nsf_exit),
    FIELD(nsf_exit, running),
    FIELD(nsf_exit, code),
    FIELD(nsf_exit, signal),
    WHOLE(nsf_inside),
    FIELD(nsf_inside, id),
    FIELD(nsf_inside, inode),
    FIELD(nsf_inside, type),
    FIELD(nsf_inside, fd),
    FIELD(nsf_inside, cgroup_fd),
    FIELD(nsf_inside, wanted),
    FIELD(nsf_inside, result),
    FIELD(nsf_inside, step),
    FIELD(nsf_inside, links),
    FIELD(nsf_inside, addresses),
    FIELD(nsf_inside, routes),
    FIELD(nsf_inside, listening),
    FIELD(nsf_inside, peer_count),
    FIELD(nsf_inside, peers),
    FIELD(nsf_inside, hostname),
    FIELD(nsf_inside, domainname),
    FIELD(nsf_inside, cgroup_bytes),
    FIELD(nsf_inside, cgroup),
};

int nsf_layout(char *out, uint32_t bytes) {
    size_t used = 0;
    int length = snprintf(out, bytes, "abi %d\n", NSF_ABI);
    for (size_t i = 0;; i++) {
        if (length < 0)
            return -EINVAL;
        used += (size_t)length;
        if (used >= bytes)
            return -ENOSPC;
        if (i == sizeof fields / sizeof *fields)
            return 0;
        length = snprintf(out + used, bytes - used, "%s %zu %zu\n", fields[i].name, fields[i].offset, fields[i].size);
    }
}
