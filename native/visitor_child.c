#include "visitor_child.h"

#include "raw_syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#ifndef SYS_openat2
#define SYS_openat2 437 /* Linux 5.6 */
#endif
#ifndef SYS_close_range
#define SYS_close_range 436 /* Linux 5.9; before, it keeps copies of ours as long as it lives */
#endif
#define NSFS_GET_ID 0x8008b70du
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
UNSANITIZED static long enter(struct nsf_visit *visit) {
    long result = 0;
    visit->doing = "setns";
    if (visit->mount_ns >= 0)
        result = nsf_raw(SYS_setns, visit->mount_ns, CLONE_NEWNS, 0, 0, 0);
    if (result == 0 && visit->proc >= 0) {
        visit->doing = "proc";
        result = nsf_raw(SYS_fchdir, visit->proc, 0, 0, 0, 0);
    }
    nsf_raw(SYS_close_range, 0, ~0u, 0, 0, 0);
    return result;
}

/* In procfs, which is the working directory. */
UNSANITIZED static void name_descriptor(char *out, long fd) {
    static const char before[] = "self/fd/";
    char digits[16];
    int count = 0;
    for (size_t at = 0; at < sizeof before - 1; at++)
        *out++ = before[at];
    do digits[count++] = (char)('0' + fd % 10);
    while ((fd /= 10) > 0);
    while (count > 0) *out++ = digits[--count];
    *out = 0;
}

UNSANITIZED static long identify(struct nsf_visit *visit, long fd) {
    struct statx about;
    char path[32];
    uint64_t id = 0;
    visit->doing = "identify";
    /* Of what the kernel knows: a file system that is asked may never answer. */
    long result = nsf_raw(SYS_statx, fd, (long)"", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, (long)&about);
    if (result < 0)
        return result;
    if (about.stx_ino != visit->wanted.inode || makedev(about.stx_dev_major, about.stx_dev_minor) != visit->wanted.dev)
        return -ESTALE;
    if (visit->wanted.id == 0)
        return 0;
    name_descriptor(path, fd);
    long file = nsf_raw(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0);
    if (file < 0)
        return file;
    result = nsf_raw(SYS_ioctl, file, NSFS_GET_ID, (long)&id, 0, 0);
    nsf_raw(SYS_close, file, 0, 0, 0, 0);
    return result < 0 ? result : id == visit->wanted.id ? 0 : -ESTALE;
}

/* A descriptor of the namespace that PATH shows, if it is the one that is wanted. O_PATH: opening a device that stands there by now would set it off. */
UNSANITIZED static long find(struct nsf_visit *visit) {
    visit->doing = "open";
    long fd = nsf_raw(SYS_openat, AT_FDCWD, (long)visit->path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, 0);
    if (fd < 0)
        return fd;
    long result = identify(visit, fd);
    if (result == 0)
        return fd;
    nsf_raw(SYS_close, fd, 0, 0, 0, 0);
    return result;
}

/* Identity before action: what is open is what is unmounted, whatever stands at its path meanwhile. Detached, because FD itself keeps it busy. */
UNSANITIZED static long detach(struct nsf_visit *visit, long fd) {
    char path[32];
    visit->doing = "umount";
    if (fd < 0)
        return -EBADF;
    name_descriptor(path, fd);
    return nsf_raw(SYS_umount2, (long)path, MNT_DETACH, 0, 0, 0);
}

struct state {
    int copied;
    long held; /* what the parent has a copy of by now, or what is to be detached; or -1 */
};

UNSANITIZED static long take_step(struct nsf_visit *visit, struct state *state) {
    long result;
    if (state->held >= 0 && visit->step != NSF_VISIT_DETACH)
        nsf_raw(SYS_close, state->held, 0, 0, 0, 0);
    if (visit->step != NSF_VISIT_DETACH)
        state->held = -1;
    switch (visit->step) {
    case NSF_VISIT_ENTER:
        return enter(visit);
    case NSF_VISIT_FIND:
        return state->held = find(visit);
    case NSF_VISIT_DETACH:
        return detach(visit, state->held);
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
