#include "spawn_child.h"

#include "nsfleet.h"
#include "raw_syscall.h"

#include <fcntl.h>
#include <signal.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define CLOSE_RANGE_ON_EXEC 4u /* CLOSE_RANGE_CLOEXEC, Linux 5.11 */
#define SIGNALS 64

/*
 * AddressSanitizer marks frames in shadow memory and unmarks them on return. These never return, in the memory of a
 * process that lives on, so its next mapping at the same place would look used.
 */
#define UNSANITIZED __attribute__((no_sanitize("address", "undefined")))

/* The kernel's own struct sigaction, all zero: SIG_DFL. Large enough for both machines. */
struct default_action {
    uint64_t words[4];
};

UNSANITIZED static int failed(struct nsf_launch *launch, const char *step, long result) {
    launch->failed_step = step;
    launch->failed_errnum = (int)-result;
    return 127;
}

/* CLONE_CLEAR_SIGHAND leaves ignored signals ignored, and Node ignores SIGPIPE. */
UNSANITIZED static void reset_signals(void) {
    const struct default_action action = {{0, 0, 0, 0}};
    const uint64_t none = 0;
    for (int number = 1; number <= SIGNALS; number++)
        if (number != SIGKILL && number != SIGSTOP)
            nsf_raw(SYS_rt_sigaction, number, (long)&action, 0, sizeof(uint64_t), 0);
    nsf_raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, sizeof none, 0);
}

/* Out of the way of the numbers that are about to be used: then no dup3 below can overwrite one still needed. */
UNSANITIZED static long move_up(int *fd, uint32_t count) {
    if (*fd >= (int)count)
        return 0;
    long moved = nsf_raw(SYS_fcntl, *fd, F_DUPFD_CLOEXEC, (long)count, 0, 0);
    if (moved < 0)
        return moved;
    *fd = (int)moved;
    return 0;
}

UNSANITIZED int nsf_spawn_child(void *arg) {
    struct nsf_launch *launch = arg;
    uint32_t count = launch->fd_count;
    long result = move_up(&launch->program, count);
    for (uint32_t i = 0; i < count && result == 0; i++)
        result = move_up(&launch->fds[i], count);
    if (result < 0)
        return failed(launch, "move_fd", result);
    for (uint32_t i = 0; i < count; i++) {
        result = nsf_raw(SYS_dup3, launch->fds[i], (long)i, 0, 0, 0);
        if (result < 0)
            return failed(launch, "place_fd", result);
    }
    /* On exec and not now: the program's own descriptor is among them. */
    result = nsf_raw(SYS_close_range, (long)count, ~0u, CLOSE_RANGE_ON_EXEC, 0, 0);
    if (result < 0)
        return failed(launch, "close_range", result);
    if (launch->flags & NSF_SPAWN_NEW_SESSION) {
        result = nsf_raw(SYS_setsid, 0, 0, 0, 0, 0);
        if (result < 0)
            return failed(launch, "setsid", result);
    }
    reset_signals();
    result = nsf_raw(SYS_execveat, launch->program, (long)"", (long)launch->argv, (long)launch->env, AT_EMPTY_PATH);
    return failed(launch, "execveat", result);
}
