#include "visitor_child.h"

#include "raw_syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#ifndef SYS_openat2
#define SYS_openat2 437 /* Linux 5.6 */
#endif
#ifndef SYS_close_range
#define SYS_close_range 436 /* Linux 5.9; before, it keeps copies of ours as long as it lives */
#endif
#define NO_LINKS 0x06ull /* RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS */

/* As in spawn_child.c: no frame below is left by a return that AddressSanitizer sees. */
#define UNSANITIZED __attribute__((no_sanitize("address", "undefined")))

struct how {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};

UNSANITIZED static long open_path(const char *path) {
    const struct how how = {O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, NO_LINKS};
    return nsf_raw(SYS_openat2, AT_FDCWD, (long)path, (long)&how, sizeof how, 0);
}

/* Private before anything is taken off: a shared mount would be taken off everywhere. */
UNSANITIZED static long copy(void) {
    long result = nsf_raw(SYS_unshare, CLONE_NEWNS, 0, 0, 0, 0);
    if (result < 0)
        return result;
    return nsf_raw(SYS_mount, (long)"none", (long)"/", 0, MS_REC | MS_PRIVATE, 0);
}

/* Holds nothing of ours from then on: a file system that never answers keeps it for good, and would keep our sockets and locks with it. */
UNSANITIZED static long enter(int mount_ns) {
    long result = nsf_raw(SYS_setns, mount_ns, CLONE_NEWNS, 0, 0, 0);
    nsf_raw(SYS_close_range, 0, ~0u, 0, 0, 0);
    return result;
}

struct state {
    int copied;
    long held; /* what the parent has a copy of by now, or -1 */
};

UNSANITIZED static long take_step(const struct nsf_visit *visit, struct state *state) {
    long result;
    if (state->held >= 0)
        nsf_raw(SYS_close, state->held, 0, 0, 0, 0);
    state->held = -1;
    switch (visit->step) {
    case NSF_VISIT_ENTER:
        return enter(visit->mount_ns);
    case NSF_VISIT_OPEN:
        return state->held = open_path(visit->path);
    case NSF_VISIT_COPY:
        result = copy();
        state->copied = result == 0;
        return result;
    case NSF_VISIT_UNMOUNT:
        return state->copied ? nsf_raw(SYS_umount2, (long)visit->path, MNT_DETACH | UMOUNT_NOFOLLOW, 0, 0, 0) : -EPERM;
    default:
        return -EINVAL;
    }
}

UNSANITIZED int nsf_visitor_child(void *arg) {
    struct nsf_visit *visit = arg;
    uint32_t seen = 0;
    struct state state = {0, -1};
    nsf_raw(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (nsf_raw(SYS_getppid, 0, 0, 0, 0, 0) != visit->parent)
        return 1;
    for (;;) {
        uint32_t asked = __atomic_load_n(&visit->asked, __ATOMIC_ACQUIRE);
        if (asked == seen) {
            nsf_raw6(SYS_futex, (long)&visit->asked, FUTEX_WAIT_PRIVATE, (long)seen, 0, 0, 0);
            continue;
        }
        seen = asked;
        visit->result = (int32_t)take_step(visit, &state);
        __atomic_store_n(&visit->answered, seen, __ATOMIC_RELEASE);
        nsf_raw6(SYS_futex, (long)&visit->answered, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
    }
}
