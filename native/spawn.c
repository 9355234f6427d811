#include "clone_vfork.h"
#include "error.h"
#include "owned_fd.h"
#include "raw_syscall.h"
#include "spawn_child.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#define CLEAR_SIGHAND 0x100000000ull /* CLONE_CLEAR_SIGHAND, Linux 5.5 */
#define GUARD_BYTES 65536u           /* the largest page of aarch64 */
#define STACK_BYTES 65536u

/* Below: the guard, which faults on overflow; then the stack, then what both sides share. */
struct arena {
    char *base;
    size_t bytes;
    struct nsf_launch *launch;
};

static int arena_open(struct arena *arena) {
    arena->bytes = GUARD_BYTES + STACK_BYTES + sizeof(struct nsf_launch);
    arena->base = mmap(NULL, arena->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena->base == MAP_FAILED) {
        arena->base = NULL;
        return -1;
    }
    arena->launch = (struct nsf_launch *)(void *)(arena->base + GUARD_BYTES + STACK_BYTES);
    return mprotect(arena->base, GUARD_BYTES, PROT_NONE);
}

static void arena_close(struct arena *arena) {
    if (arena->base)
        munmap(arena->base, arena->bytes);
}

/* The COUNT strings that stand one after another at BLOCK, as the array that exec wants. */
static void point_to(char **out, const char *block, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (char *)(uintptr_t)block;
        block += strlen(block) + 1;
    }
    out[count] = NULL;
}

static int check(int32_t program, uint32_t argc, uint32_t envc, const int32_t *fds, uint32_t fd_count,
                 struct nsf_error *error) {
    if (argc == 0 || argc > NSF_SPAWN_STRINGS_MAX || envc > NSF_SPAWN_STRINGS_MAX)
        return nsf_fail(error, E2BIG, "arguments", NULL);
    if (fd_count > NSF_SPAWN_FDS_MAX)
        return nsf_fail(error, EINVAL, "descriptors", NULL);
    if (program < 0)
        return nsf_fail(error, EBADF, "program", NULL);
    for (uint32_t i = 0; i < fd_count; i++)
        if (fds[i] < 0)
            return nsf_fail(error, EBADF, "descriptors", NULL);
    return 0;
}

/* Signals wait meanwhile: a handler of the caller must not run in the child, in the memory of the caller. */
static long clone_child(struct arena *arena, int32_t *pidfd) {
    const uint64_t all = ~(uint64_t)0;
    uint64_t before = 0;
    struct nsf_clone_args args = {
        .flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLEAR_SIGHAND,
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)(uintptr_t)(arena->base + GUARD_BYTES),
        .stack_size = STACK_BYTES,
    };
    nsf_raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof all, 0);
    long pid = nsf_clone3(&args, sizeof args, nsf_spawn_child, arena->launch);
    nsf_raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof before, 0);
    return pid;
}

static void kill_and_reap(int pidfd, pid_t pid) {
    siginfo_t info;
    nsf_pidfd_signal(pidfd, SIGKILL, NULL);
    while (waitid(P_PID, (id_t)pid, &info, WEXITED) != 0 && errno == EINTR) {
    }
}

static int launch_child(struct arena *arena, struct nsf_child *child, struct nsf_error *error) {
    int32_t created = -1;
    volatile const struct nsf_launch *launch = arena->launch; /* the child wrote to it behind the compiler's back */
    long pid = clone_child(arena, &created);
    if (pid < 0)
        return nsf_fail(error, (int)-pid, "clone3", NULL);
    NSF_OWNED_FD pidfd = created;
    int result = 0;
    if (launch->failed_errnum != 0)
        result = nsf_fail(error, launch->failed_errnum, launch->failed_step, NULL);
    else
        result = nsf_process_start((int32_t)pid, &child->start_ticks, error);
    if (result < 0) {
        kill_and_reap(pidfd, (pid_t)pid);
        return result;
    }
    child->pid = (int32_t)pid;
    child->pidfd = pidfd;
    pidfd = -1;
    return 0;
}

int nsf_spawn(int32_t program, const char *argv, uint32_t argc, const char *env, uint32_t envc, const int32_t *fds,
              uint32_t fd_count, uint32_t flags, struct nsf_child *child, struct nsf_error *error) {
    memset(child, 0, sizeof *child);
    child->size = sizeof *child;
    child->version = NSF_ABI;
    child->pidfd = -1;
    int result = check(program, argc, envc, fds, fd_count, error);
    if (result < 0)
        return result;
    struct arena arena = {0};
    if (arena_open(&arena) != 0) {
        result = nsf_fail_errno(error, "stack", NULL);
    } else {
        arena.launch->program = program;
        arena.launch->fd_count = fd_count;
        arena.launch->flags = flags;
        if (fd_count > 0)
            memcpy(arena.launch->fds, fds, fd_count * sizeof *fds);
        point_to(arena.launch->argv, argv, argc);
        point_to(arena.launch->env, env, envc);
        result = launch_child(&arena, child, error);
    }
    arena_close(&arena);
    return result;
}
