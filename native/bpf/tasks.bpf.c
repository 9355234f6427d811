/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writes a record for every process, for every thread that is elsewhere than its process or has descriptors of its own, and for
 * every namespace that one of them is in or that owns or holds such a one. Runs in the kernel, once a task, while somebody reads
 * the iterator's file (Linux ≥ 5.8 with BTF).
 *
 * No lock of the task is held. A task that changes its namespaces or ends meanwhile may free its nsproxy under our hands: what was
 * read by way of it counts only if the task still has it afterwards, as it then held all of them meanwhile. Credentials are freed
 * after a grace period, and the iterator runs inside of one.
 */
#include "kernel_types.h"

#include "../task_records.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>

/* The helpers that read and write here are for licences that the kernel counts as the GPL's company. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* In the order of enum nsf_link. */
enum { MNT, CGROUP, UTS, IPC, USER, PID, NET, TIME, PID_FOR_CHILDREN, TIME_FOR_CHILDREN };

#define DEPTH_MAX 33 /* user and pid namespaces nest 32 deep below the initial one */
#define AGAIN 1      /* drop what this run wrote, hand out what was there before, come again with the same task */

/*
 * Which namespaces this pass has described: one slot for a hash, so an entry may push out another one, which is then described
 * twice. An array, because looking it up costs a few instructions and no call.
 */
#define SEEN_BITS 16
struct seen {
    __u64 session;
    __u64 key;
    __u64 run; /* of the program */
    __u32 tid; /* for which task that run was. A later run for the same one means that what the first wrote was dropped */
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1u << SEEN_BITS);
    __type(key, __u32);
    __type(value, struct seen);
} seen SEC(".maps");

/*
 * This run, and the namespaces that it is about to write. In a map and not on the stack, so that the functions below can be global:
 * the verifier looks at such a one once, and not again for every call of it (that took two seconds).
 */
#define RECORDS_MAX 127u /* a power of two less one, so that a mask shows the verifier the bound */
struct run {
    __u64 session;
    __u64 run;
    __u32 tid;
    __u32 count;
    struct nsf_namespace_record records[RECORDS_MAX + 1];
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct run);
} runs SEC(".maps");
#define ROOM (sizeof(struct nsf_namespace_record) * RECORDS_MAX + sizeof(struct nsf_task_record)) /* the kernel's buffer has 32 KiB */

#define inlined static __attribute__((always_inline)) inline
#define verified_once __attribute__((noinline))
#define KEY(space) key_of(bpf_core_field_exists((space)->ns.ns_id) ? (space)->ns.ns_id : 0, (space)->ns.inum)

inlined __u64 key_of(__u64 id, __u32 inode) {
    return id ? id : inode;
}

inlined struct run *this_run(void) {
    __u32 first = 0;
    return bpf_map_lookup_elem(&runs, &first);
}

inlined struct seen *slot_of(__u64 key) {
    __u32 slot = (__u32)((key * 0x9e3779b97f4a7c15ull) >> (64 - SEEN_BITS));
    return bpf_map_lookup_elem(&seen, &slot);
}

inlined int is_seen(const struct run *run, __u64 key) {
    struct seen *slot = slot_of(key);
    return slot && slot->key == key && slot->session == run->session && (slot->tid != run->tid || slot->run == run->run);
}

/* The next record of this run, or NULL if there is no room: then the reader takes the namespace for hidden. */
inlined struct nsf_namespace_record *add(struct run *run, __u64 key, __u32 type) {
    struct seen *slot = slot_of(key);
    __u32 index = run->count;
    if (!slot || index >= RECORDS_MAX)
        return 0;
    slot->key = key;
    slot->session = run->session;
    slot->run = run->run;
    slot->tid = run->tid;
    run->count = index + 1;
    struct nsf_namespace_record *record = &run->records[index & RECORDS_MAX];
    record->kind = NSF_RECORD_NAMESPACE;
    record->type = type;
    record->key = key;
    record->owner_key = 0;
    record->parent_key = 0;
    record->owner_uid = 0;
    return record;
}

/* Addresses are numbers here, and reading by them costs a call: only once a namespace and pass. */
inlined void read_common(struct ns_common *ns, __u64 *id, __u32 *inode) {
    *id = bpf_core_field_exists(ns->ns_id) ? BPF_CORE_READ(ns, ns_id) : 0;
    *inode = BPF_CORE_READ(ns, inum);
}

inlined __u64 user_key(struct user_namespace *user) {
    __u64 id;
    __u32 inode;
    if (!user)
        return 0;
    read_common(&user->ns, &id, &inode);
    return key_of(id, inode);
}

/* The user namespace at ADDRESS and all above it. */
verified_once int describe_users(__u64 address) {
    struct user_namespace *user = (struct user_namespace *)address;
    struct run *run = this_run();
    __u64 id;
    __u32 inode;
    if (!run || !user)
        return 0;
    read_common(&user->ns, &id, &inode);
    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        __u64 key = key_of(id, inode);
        if (is_seen(run, key))
            break;
        struct nsf_namespace_record *record = add(run, key, USER);
        if (!record)
            break;
        record->id = id;
        record->inode = inode;
        record->owner_uid = BPF_CORE_READ(user, owner.val);
        user = BPF_CORE_READ(user, parent);
        if (!user)
            break;
        /* A user namespace is owned by its parent (kernel/user_namespace.c, userns_owner). */
        read_common(&user->ns, &id, &inode);
        record->parent_key = record->owner_key = key_of(id, inode);
    }
    return 0;
}

/* The pid namespace at ADDRESS and all above it. Their owners are above its own (kernel/pid_namespace.c, create_pid_namespace). */
verified_once int describe_pids(__u64 address) {
    struct pid_namespace *space = (struct pid_namespace *)address;
    struct run *run = this_run();
    __u64 id;
    __u32 inode;
    if (!run || !space)
        return 0;
    describe_users((__u64)BPF_CORE_READ(space, user_ns));
    read_common(&space->ns, &id, &inode);
    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        __u64 key = key_of(id, inode);
        if (is_seen(run, key))
            break;
        struct nsf_namespace_record *record = add(run, key, PID);
        if (!record)
            break;
        record->id = id;
        record->inode = inode;
        record->owner_key = user_key(BPF_CORE_READ(space, user_ns));
        space = BPF_CORE_READ(space, parent);
        if (!space)
            break;
        read_common(&space->ns, &id, &inode);
        record->parent_key = key_of(id, inode);
    }
    return 0;
}

/* The namespace at ADDRESS, which has its user_ns at the one and its ns at the other offset, and its owners. */
verified_once int describe(__u64 address, __u32 type, __u32 user_at, __u32 ns_at) {
    struct user_namespace *owner = 0;
    struct run *run = this_run();
    __u64 id;
    __u32 inode;
    if (!run)
        return 0;
    read_common((struct ns_common *)(address + ns_at), &id, &inode);
    bpf_probe_read_kernel(&owner, sizeof owner, (void *)(address + user_at));
    struct nsf_namespace_record *record = add(run, key_of(id, inode), type);
    if (!record)
        return 0;
    record->id = id;
    record->inode = inode;
    record->owner_key = user_key(owner);
    describe_users((__u64)owner);
    return 0;
}

#define LOOK_AT(run, keys, link, kind, nsproxy, field, name)                                                                       \
    do {                                                                                                                           \
        struct name *space = (nsproxy)->field;                                                                                     \
        if (space) {                                                                                                               \
            (keys)[link] = KEY(space);                                                                                             \
            if (!is_seen(run, (keys)[link]))                                                                                       \
                describe((__u64)BPF_CORE_READ(nsproxy, field), kind, bpf_core_field_offset(struct name, user_ns),                  \
                         bpf_core_field_offset(struct name, ns));                                                                  \
        }                                                                                                                          \
    } while (0)

inlined void look_at_nsproxy(const struct run *run, struct nsproxy *nsproxy, __u64 *keys) {
    LOOK_AT(run, keys, MNT, MNT, nsproxy, mnt_ns, mnt_namespace);
    LOOK_AT(run, keys, UTS, UTS, nsproxy, uts_ns, uts_namespace);
    LOOK_AT(run, keys, IPC, IPC, nsproxy, ipc_ns, ipc_namespace);
    LOOK_AT(run, keys, NET, NET, nsproxy, net_ns, net);
    LOOK_AT(run, keys, CGROUP, CGROUP, nsproxy, cgroup_ns, cgroup_namespace);
    LOOK_AT(run, keys, TIME, TIME, nsproxy, time_ns, time_namespace);
    LOOK_AT(run, keys, TIME_FOR_CHILDREN, TIME, nsproxy, time_ns_for_children, time_namespace);
    struct pid_namespace *children = nsproxy->pid_ns_for_children;
    if (children) {
        keys[PID_FOR_CHILDREN] = KEY(children);
        if (!is_seen(run, keys[PID_FOR_CHILDREN]))
            describe_pids((__u64)BPF_CORE_READ(nsproxy, pid_ns_for_children));
    }
}

/* The task's own pid namespace is that of its last number; nsproxy holds the children's, which nearly always is the same. */
inlined void look_at_pid(const struct run *run, struct task_struct *task, struct nsproxy *nsproxy, __u64 *keys) {
    struct pid *pid = BPF_CORE_READ(task, thread_pid);
    struct pid_namespace *space = 0;
    __u64 id;
    __u32 inode;
    if (!pid)
        return;
    __u64 last = (__u64)&pid->numbers[0] + BPF_CORE_READ(pid, level) * (__u64)bpf_core_type_size(struct upid);
    bpf_probe_read_kernel(&space, sizeof space, (void *)(last + bpf_core_field_offset(struct upid, ns)));
    if (nsproxy && nsproxy->pid_ns_for_children == space) {
        keys[PID] = keys[PID_FOR_CHILDREN];
        return;
    }
    if (!space)
        return;
    read_common(&space->ns, &id, &inode);
    keys[PID] = key_of(id, inode);
    if (!is_seen(run, keys[PID]))
        describe_pids((__u64)space);
}

/* The volatile keeps the compiler from taking an earlier look for this one. */
inlined struct nsproxy *nsproxy_now(struct task_struct *task) {
    return *(struct nsproxy *volatile *)&task->nsproxy;
}

/* The flags of a record that is worth writing, or -1. */
inlined int choose(struct task_struct *task) {
    struct task_struct *leader = task->group_leader;
    int flags = NSF_TASK_THREAD;
    if (task->pid == task->tgid)
        return 0;
    /* A thread that ends holds nothing any more. */
    if (!leader || !nsproxy_now(task))
        return -1;
    if (task->files && task->files != leader->files)
        flags |= NSF_TASK_OWN_FILES;
    if (flags & NSF_TASK_OWN_FILES || nsproxy_now(task) != nsproxy_now(leader) || task->real_cred->user_ns != leader->real_cred->user_ns)
        return flags;
    return -1;
}

inlined __u32 state_of(struct task_struct *task) {
    struct task_struct___old *old = (void *)task;
    return bpf_core_field_exists(task->__state) ? task->__state : (__u32)old->state;
}

inlined int write_all(struct seq_file *seq, const struct run *run, struct nsf_task_record *record) {
    __u64 count = run->count & RECORDS_MAX;
    if (count > 0 && bpf_seq_write(seq, run->records, count * sizeof run->records[0]) != 0)
        return 0; /* the kernel sees that its buffer is full, and does as for AGAIN */
    bpf_seq_write(seq, record, sizeof *record);
    return 0;
}

SEC("iter/task")
int nsf_tasks(struct bpf_iter__task *context) {
    struct seq_file *seq = context->meta->seq;
    struct task_struct *task = context->task;
    struct nsf_task_record record = {.kind = NSF_RECORD_TASK};
    struct run *run = this_run();
    if (!task || !run)
        return 0;
    int flags = choose(task);
    if (flags < 0)
        return 0;
    if (seq->count > 0 && seq->size - seq->count < ROOM)
        return AGAIN;
    run->session = context->meta->session_id;
    run->run = bpf_ktime_get_ns();
    run->tid = task->pid;
    run->count = 0;

    struct nsproxy *nsproxy = nsproxy_now(task);
    if (nsproxy)
        look_at_nsproxy(run, nsproxy, record.keys);
    look_at_pid(run, task, nsproxy, record.keys);
    struct user_namespace *user = task->real_cred->user_ns;
    record.keys[USER] = KEY(user);
    if (!is_seen(run, record.keys[USER]))
        describe_users((__u64)BPF_CORE_READ(task, real_cred, user_ns));
    if (nsproxy_now(task) != nsproxy)
        return AGAIN;

    record.flags = flags;
    record.pid = task->tgid;
    record.tid = task->pid;
    record.ppid = task->real_parent->tgid;
    record.start_ns = task->start_boottime;
    record.uid = task->real_cred->euid.val;
    bpf_probe_read_kernel(record.comm, sizeof record.comm, task->comm);
    record.state = state_of(task);
    record.exit_state = task->exit_state;
    return write_all(seq, run, &record);
}
