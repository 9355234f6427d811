#include "nsfs.h"

#include "nsfleet.h"
#include "owned_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

/* linux/nsfs.h of Debian 12 lacks NS_GET_ID, so all five stand here. */
#define NSFS_GET_USERNS 0xb701u
#define NSFS_GET_PARENT 0xb702u
#define NSFS_GET_NSTYPE 0xb703u
#define NSFS_GET_OWNER_UID 0xb704u
#define NSFS_GET_ID 0x8008b70du
#define PIDFD_GET_PID_FOR_CHILDREN 0xff06u /* linux/pidfd.h, Linux 6.11 */
#define OF_THREAD O_EXCL                   /* PIDFD_THREAD, Linux 6.9 */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#define NSFS_SUPER_MAGIC 0x6e736673
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

const char *const nsf_link_names[NSF_LINKS] = {"mnt", "cgroup", "uts", "ipc", "user", "pid", "net", "time",
                                               "pid_for_children", "time_for_children"};

static const int clone_flags[NSF_TYPES] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                           CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET, CLONE_NEWTIME};

uint32_t nsf_clone_flag(int type) {
    return (uint32_t)clone_flags[type];
}

int nsf_link_type(int link) {
    if (link == NSF_PID_FOR_CHILDREN)
        return NSF_PID;
    if (link == NSF_TIME_FOR_CHILDREN)
        return NSF_TIME;
    return link;
}

int nsf_nsfs_inode(int fd, struct nsf_nsfs *out) {
    /* statx and not fstat: fstat is a symbol of glibc 2.33, and 2.28 is the floor. */
    struct statx about;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &about) != 0)
        return -errno;
    out->inode = about.stx_ino;
    out->dev = makedev(about.stx_dev_major, about.stx_dev_minor);
    out->id = 0;
    return 0;
}

uint64_t nsf_nsfs_id(int fd) {
    uint64_t id;
    return ioctl(fd, NSFS_GET_ID, &id) == 0 ? id : 0;
}

int nsf_nsfs_identify(int fd, struct nsf_nsfs *out) {
    int result = nsf_nsfs_inode(fd, out);
    if (result == 0)
        out->id = nsf_nsfs_id(fd);
    return result;
}

int nsf_nsfs_check(int fd) {
    struct statx own;
    struct statx about;
    /* All namespaces are files of the one nsfs. */
    if (statx(AT_FDCWD, "/proc/self/ns/mnt", AT_STATX_DONT_SYNC, STATX_INO, &own) != 0 ||
        statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &about) != 0)
        return -errno;
    return about.stx_dev_major == own.stx_dev_major && about.stx_dev_minor == own.stx_dev_minor ? 0 : -EINVAL;
}

int nsf_nsfs_type(int fd) {
    struct statfs about;
    if (fstatfs(fd, &about) != 0)
        return -errno;
    if (about.f_type != NSFS_SUPER_MAGIC)
        return -EINVAL;
    int flag = ioctl(fd, NSFS_GET_NSTYPE);
    if (flag < 0)
        return -errno;
    for (int type = 0; type < NSF_TYPES; type++)
        if (clone_flags[type] == flag)
            return type;
    return -EINVAL;
}

int nsf_nsfs_parent(int fd) {
    int parent = ioctl(fd, NSFS_GET_PARENT);
    return parent < 0 ? -errno : parent;
}

int nsf_nsfs_owner(int fd) {
    int owner = ioctl(fd, NSFS_GET_USERNS);
    return owner < 0 ? -errno : owner;
}

int nsf_nsfs_pid_for_children(int32_t pid, int thread) {
    NSF_OWNED_FD pidfd = (int)syscall(SYS_pidfd_open, pid, thread ? OF_THREAD : 0u);
    if (pidfd < 0)
        return errno == EINVAL || errno == ENOSYS ? -ENOENT : -errno;
    int fd = ioctl(pidfd, PIDFD_GET_PID_FOR_CHILDREN, 0);
    if (fd >= 0)
        return fd;
    return errno == ENOTTY || errno == EINVAL || errno == EOPNOTSUPP ? -ENOENT : -errno;
}

int64_t nsf_nsfs_owner_uid(int fd) {
    uid_t uid;
    return ioctl(fd, NSFS_GET_OWNER_UID, &uid) == 0 ? (int64_t)uid : -1;
}
