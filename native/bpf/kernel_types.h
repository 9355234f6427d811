/*
 * The few fields of the kernel that tasks.bpf.c reads, by their names alone: the loader finds where they are in the kernel that
 * runs (CO-RE), so no generated vmlinux.h of 3 MB is kept. Order and distance here mean nothing. `___old` names what a field was
 * in older kernels.
 */
#ifndef NSF_BPF_KERNEL_TYPES_H
#define NSF_BPF_KERNEL_TYPES_H

/* What bpf_helper_defs.h takes for granted; linux/types.h is not to be had for the target bpf everywhere. */
typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u64 __be64;
typedef _Bool bool;

#define BPF_MAP_TYPE_ARRAY 2

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct files_struct;
struct user_namespace;

/* ns_id: since Linux 6.18. */
struct ns_common {
    unsigned int inum;
    __u64 ns_id;
};

typedef struct {
    unsigned int val;
} kuid_t;

struct user_namespace {
    struct user_namespace *parent;
    kuid_t owner;
    struct ns_common ns;
};

struct pid_namespace {
    struct pid_namespace *parent;
    struct user_namespace *user_ns;
    struct ns_common ns;
};

struct mnt_namespace {
    struct user_namespace *user_ns;
    struct ns_common ns;
};

struct cgroup_namespace {
    struct user_namespace *user_ns;
    struct ns_common ns;
};

struct uts_namespace {
    struct user_namespace *user_ns;
    struct ns_common ns;
};

struct ipc_namespace {
    struct user_namespace *user_ns;
    struct ns_common ns;
};

struct net {
    struct user_namespace *user_ns;
    struct ns_common ns;
};

struct time_namespace {
    struct user_namespace *user_ns;
    struct ns_common ns;
};

struct nsproxy {
    struct uts_namespace *uts_ns;
    struct ipc_namespace *ipc_ns;
    struct mnt_namespace *mnt_ns;
    struct pid_namespace *pid_ns_for_children;
    struct net *net_ns;
    struct time_namespace *time_ns;
    struct time_namespace *time_ns_for_children;
    struct cgroup_namespace *cgroup_ns;
};

struct cred {
    kuid_t euid;
    struct user_namespace *user_ns;
};

struct upid {
    int nr;
    struct pid_namespace *ns;
};

struct pid {
    unsigned int level;
    struct upid numbers[1];
};

struct task_struct {
    unsigned int __state; /* since 5.14 */
    int exit_state;
    int pid;
    int tgid;
    struct task_struct *real_parent;
    struct task_struct *group_leader;
    struct pid *thread_pid;
    __u64 start_boottime;
    const struct cred *real_cred;
    char comm[16];
    struct files_struct *files;
    struct nsproxy *nsproxy;
};

struct task_struct___old {
    volatile long state;
};

struct seq_file {
    __u64 size;
    __u64 count;
};

struct bpf_iter_meta {
    struct seq_file *seq;
    __u64 session_id;
};

struct bpf_iter__task {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
};

#pragma clang attribute pop

#endif
