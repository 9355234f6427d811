#include "child_stack.h"

#include "clone_vfork.h"
#include "raw_syscall.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#define CLEAR_SIGHAND 0x100000000ull /* CLONE_CLEAR_SIGHAND, Linux 5.5 */
#define INTO_CGROUP 0x200000000ull   /* CLONE_INTO_CGROUP, Linux 5.7 */
#define GUARD_BYTES 65536u           /* the largest page of aarch64 */
#define STACK_BYTES 65536u

int nsf_child_stack_open(struct nsf_child_stack *stack, size_t shared_bytes) {
    stack->bytes = GUARD_BYTES + STACK_BYTES + shared_bytes;
    stack->base = mmap(NULL, stack->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack->base == MAP_FAILED) {
        stack->base = NULL;
        return -errno;
    }
    stack->shared = stack->base + GUARD_BYTES + STACK_BYTES;
    return mprotect(stack->base, GUARD_BYTES, PROT_NONE) == 0 ? 0 : -errno;
}

void nsf_child_stack_close(struct nsf_child_stack *stack) {
    if (stack->base)
        munmap(stack->base, stack->bytes);
    stack->base = NULL;
}

long nsf_child_stack_clone(struct nsf_child_stack *stack, uint64_t flags, int exit_signal, int32_t *pidfd, int cgroup, int (*fn)(void *),
                           void *arg) {
    const uint64_t all = ~(uint64_t)0;
    uint64_t before = 0;
    struct nsf_clone_args args = {
        .flags = CLONE_VM | CLEAR_SIGHAND | flags | (pidfd ? CLONE_PIDFD : 0) | (cgroup < 0 ? 0 : INTO_CGROUP),
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .exit_signal = (uint64_t)exit_signal,
        .stack = (uint64_t)(uintptr_t)(stack->base + GUARD_BYTES),
        .stack_size = STACK_BYTES,
        .cgroup = cgroup < 0 ? 0 : (uint64_t)cgroup,
    };
    nsf_raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof all, 0);
    long pid = nsf_clone3(&args, sizeof args, fn, arg);
    nsf_raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof before, 0);
    return pid;
}
