#ifndef NSF_CHILD_STACK_H
#define NSF_CHILD_STACK_H

#include <stddef.h>
#include <stdint.h>

/* What a child that shares our memory stands on: a guard, which faults on overflow, 64 KiB of stack, and what both sides use. */
struct nsf_child_stack {
    char *base; /* NULL: there is none */
    size_t bytes;
    void *shared; /* all zero at first */
};

/* 0 or -errno; nsf_child_stack_close in any case. */
int nsf_child_stack_open(struct nsf_child_stack *stack, size_t shared_bytes);
void nsf_child_stack_close(struct nsf_child_stack *stack);

/*
 * Runs FN(ARG) on STACK in a child with this memory, by clone3(2) with FLAGS beside: the pid, or -errno. Signals are blocked in the child, as a handler
 * of the caller must not run there, and have no handlers. EXIT_SIGNAL 0: its end is nobody's business, __WALL waits for it. PIDFD may be NULL. CGROUP: the
 * directory of cgroup v2 that the child is born in (Linux 5.7); -1: in the caller's.
 */
long nsf_child_stack_clone(struct nsf_child_stack *stack, uint64_t flags, int exit_signal, int32_t *pidfd, int cgroup, int (*fn)(void *),
                           void *arg);

#endif
