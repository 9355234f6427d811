#include "child_call.h"

#include "clone_vfork.h"
#include "error.h"
#include "raw_syscall.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define CLEAR_SIGHAND 0x100000000ull /* CLONE_CLEAR_SIGHAND, Linux 5.5 */
#define GUARD_BYTES 65536u           /* the largest page of aarch64 */
#define STACK_BYTES 65536u

/* Signals wait meanwhile: a handler of the caller must not run in the child. The child's end sends none: it is nobody's business. */
static long clone_child(char *stack, int (*fn)(void *), void *arg) {
    const uint64_t all = ~(uint64_t)0;
    uint64_t before = 0;
    struct nsf_clone_args args = {
        .flags = CLONE_VM | CLONE_VFORK | CLEAR_SIGHAND,
        .stack = (uint64_t)(uintptr_t)stack,
        .stack_size = STACK_BYTES,
    };
    nsf_raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof all, 0);
    long pid = nsf_clone3(&args, sizeof args, fn, arg);
    nsf_raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof before, 0);
    return pid;
}

int nsf_call_in_child(int (*fn)(void *), void *arg, struct nsf_error *error) {
    char *base = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return nsf_fail_errno(error, "stack", NULL);
    int result = 0;
    if (mprotect(base, GUARD_BYTES, PROT_NONE) != 0) {
        result = nsf_fail_errno(error, "stack_guard", NULL);
    } else {
        long pid = clone_child(base + GUARD_BYTES, fn, arg);
        if (pid < 0) {
            result = nsf_fail(error, (int)-pid, "clone3", NULL);
        } else {
            siginfo_t info;
            /* __WALL: a child without an exit signal is a "clone" child. */
            while (waitid(P_PID, (id_t)pid, &info, WEXITED | __WALL) != 0 && errno == EINTR) {
            }
        }
    }
    munmap(base, GUARD_BYTES + STACK_BYTES);
    return result;
}
