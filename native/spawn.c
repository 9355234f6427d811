#include "child_stack.h"
#include "error.h"
#include "owned_fd.h"
#include "spawn_child.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* The COUNT strings that stand one after another at BLOCK, as the array that exec wants. */
static void point_to(char **out, const char *block, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (char *)(uintptr_t)block;
        block += strlen(block) + 1;
    }
    out[count] = NULL;
}

static int check(int32_t program, uint32_t argc, uint32_t envc, const int32_t *fds, uint32_t fd_count, uint32_t flags,
                 struct nsf_error *error) {
    if (argc == 0 || argc > NSF_SPAWN_STRINGS_MAX || envc > NSF_SPAWN_STRINGS_MAX)
        return nsf_fail(error, E2BIG, "arguments", NULL);
    if (fd_count > NSF_SPAWN_FDS_MAX || (fd_count == 0 && (flags & NSF_SPAWN_INTO_CGROUP)))
        return nsf_fail(error, EINVAL, "descriptors", NULL);
    if (program < 0)
        return nsf_fail(error, EBADF, "program", NULL);
    for (uint32_t i = 0; i < fd_count; i++)
        if (fds[i] < 0)
            return nsf_fail(error, EBADF, "descriptors", NULL);
    return 0;
}

static void kill_and_reap(int pidfd, pid_t pid) {
    siginfo_t info;
    nsf_pidfd_signal(pidfd, SIGKILL, NULL);
    while (waitid(P_PID, (id_t)pid, &info, WEXITED) != 0 && errno == EINTR) {
    }
}

static int launch_child(struct nsf_child_stack *stack, int cgroup, struct nsf_child *child, struct nsf_error *error) {
    int32_t created = -1;
    volatile const struct nsf_launch *launch = stack->shared; /* the child wrote to it behind the compiler's back */
    long pid = nsf_child_stack_clone(stack, CLONE_VFORK, SIGCHLD, &created, cgroup, nsf_spawn_child, stack->shared);
    if (pid < 0)
        return nsf_fail(error, (int)-pid, cgroup < 0 ? "clone3" : "clone3 into cgroup", NULL);
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
    int result = check(program, argc, envc, fds, fd_count, flags, error);
    if (result < 0)
        return result;
    struct nsf_child_stack stack;
    result = nsf_child_stack_open(&stack, sizeof(struct nsf_launch));
    if (result < 0) {
        nsf_fail(error, -result, "stack", NULL);
    } else {
        struct nsf_launch *launch = stack.shared;
        int cgroup = flags & NSF_SPAWN_INTO_CGROUP ? fds[--fd_count] : -1;
        launch->program = program;
        launch->fd_count = fd_count;
        launch->flags = flags;
        if (fd_count > 0)
            memcpy(launch->fds, fds, fd_count * sizeof *fds);
        point_to(launch->argv, argv, argc);
        point_to(launch->env, env, envc);
        result = launch_child(&stack, cgroup, child, error);
    }
    nsf_child_stack_close(&stack);
    return result;
}
