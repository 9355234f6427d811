/* Takes a bind mount of a namespace away, in this or another mount namespace: only while it still is the one that was meant. */
#include "child_call.h"
#include "error.h"
#include "nsfs.h"
#include "owned_fd.h"
#include "raw_syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define UNSANITIZED __attribute__((no_sanitize("address", "undefined")))
#define NSFS_GET_ID 0x8008b70du

struct unmount {
    int mount_namespace; /* or -1 */
    int proc;            /* the host's procfs: a mount namespace may have none, or a faked one */
    const char *path;
    uint64_t id, inode, dev;
    int result;
    const char *step;
};

UNSANITIZED static int fail(struct unmount *unmount, const char *step, long result) {
    unmount->step = step;
    return unmount->result = (int)result;
}

UNSANITIZED static void add_number(char *out, unsigned number) {
    char digits[16];
    int count = 0;
    do digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0) *out++ = digits[--count];
    *out = 0;
}

/* Identity before action: what is open is what is unmounted, whatever stands at the path meanwhile. */
UNSANITIZED static int in_child(void *arg) {
    struct unmount *unmount = arg;
    struct statx about = {0};
    uint64_t id = 0;
    char self[32] = "self/fd/";
    if (unmount->mount_namespace >= 0) {
        long joined = nsf_raw(SYS_setns, unmount->mount_namespace, CLONE_NEWNS, 0, 0, 0);
        if (joined < 0)
            return fail(unmount, "setns", joined);
    }
    /* O_PATH: opening a device that stands there by now would set it off. */
    long fd = nsf_raw(SYS_openat, AT_FDCWD, (long)unmount->path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, 0);
    if (fd < 0)
        return fail(unmount, "open", fd);
    long result = nsf_raw(SYS_statx, fd, (long)"", AT_EMPTY_PATH, STATX_INO, (long)&about);
    if (result < 0)
        return fail(unmount, "identify", result);
    uint64_t dev = makedev(about.stx_dev_major, about.stx_dev_minor);
    if (about.stx_ino != unmount->inode || dev != unmount->dev)
        return fail(unmount, "identify", -ESTALE);
    result = nsf_raw(SYS_fchdir, unmount->proc, 0, 0, 0, 0);
    if (result < 0)
        return fail(unmount, "proc", result);
    add_number(self + strlen(self), (unsigned)fd);
    if (unmount->id != 0) {
        long file = nsf_raw(SYS_openat, AT_FDCWD, (long)self, O_RDONLY | O_CLOEXEC, 0, 0);
        if (file < 0)
            return fail(unmount, "open", file);
        result = nsf_raw(SYS_ioctl, file, NSFS_GET_ID, (long)&id, 0, 0);
        nsf_raw(SYS_close, file, 0, 0, 0, 0);
        if (result < 0 || id != unmount->id)
            return fail(unmount, "identify", result < 0 ? result : -ESTALE);
    }
    /* Detached, because FD itself keeps it busy. */
    result = nsf_raw(SYS_umount2, (long)self, MNT_DETACH, 0, 0, 0);
    return result < 0 ? fail(unmount, "umount", result) : 0;
}

int nsf_unmount(int32_t mount_namespace, const char *path, uint64_t id, uint64_t inode, struct nsf_error *error) {
    struct nsf_nsfs own;
    NSF_OWNED_FD self = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    NSF_OWNED_FD proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self < 0 || proc < 0)
        return nsf_fail_errno(error, "open_proc", "/proc");
    int result = nsf_nsfs_identify(self, &own);
    if (result < 0)
        return nsf_fail(error, -result, "identify", "/proc/self/ns/mnt");
    /* All namespaces are files of the one nsfs. */
    struct unmount unmount = {mount_namespace, proc, path, id, inode, own.dev, 0, NULL};
    result = nsf_call_in_child(in_child, &unmount, error);
    if (result < 0)
        return result;
    volatile const struct unmount *seen = &unmount; /* the child wrote to it behind the compiler's back */
    return seen->result < 0 ? nsf_fail(error, -seen->result, seen->step, path) : 0;
}
