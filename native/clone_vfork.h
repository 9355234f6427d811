#ifndef NSF_CLONE_VFORK_H
#define NSF_CLONE_VFORK_H

#include <stddef.h>
#include <stdint.h>

/* linux/sched.h's struct clone_args, version 2 (Linux 5.7). */
struct nsf_clone_args {
    uint64_t flags;
    uint64_t pidfd;
    uint64_t child_tid;
    uint64_t parent_tid;
    uint64_t exit_signal;
    uint64_t stack;
    uint64_t stack_size;
    uint64_t tls;
    uint64_t set_tid;
    uint64_t set_tid_size;
    uint64_t cgroup;
};

/*
 * clone3(2) for a child on a stack of its own, which C alone cannot express: the child has no frame to return to. It
 * calls FN(ARG) and exits with the result. The parent gets the pid, or -errno.
 */
long nsf_clone3(const struct nsf_clone_args *args, size_t size, int (*fn)(void *), void *arg);

#endif
