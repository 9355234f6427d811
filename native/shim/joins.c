#include "joins.h"

#include "sys.h"

#include <sys/prctl.h>
#include <sys/stat.h>

/* linux/nsfs.h; NS_GET_ID is of Linux 6.18 */
#define NSFS_GET_NSTYPE 0xb703u
#define NSFS_GET_ID 0x8008b70du

const char *joins_name(uint32_t flag) {
    switch (flag) {
        case SYS_CLONE_NEWCGROUP: return "cgroup";
        case SYS_CLONE_NEWIPC: return "ipc";
        case SYS_CLONE_NEWNET: return "net";
        case SYS_CLONE_NEWNS: return "mnt";
        case SYS_CLONE_NEWPID: return "pid";
        case SYS_CLONE_NEWTIME: return "time";
        case SYS_CLONE_NEWUSER: return "user";
        case SYS_CLONE_NEWUTS: return "uts";
    }
    return "unknown";
}

/* The descriptor is what is joined, so what is true of it here is true of what is joined. */
static int check(const struct plan_join *join, int fd) {
    struct stat st;
    uint64_t id = 0;
    int type = SYS(SYS_ioctl, fd, NSFS_GET_NSTYPE);
    if (type < 0) return type == -ENOTTY ? -EINVAL : type;
    if ((uint32_t)type != join->flag) return -EINVAL;
    int result = SYS(SYS_fstat, fd, &st);
    if (result < 0) return result;
    if (st.st_ino != join->inode) return -ESTALE;
    if (join->id == 0) return 0;
    if ((result = SYS(SYS_ioctl, fd, NSFS_GET_ID, &id)) < 0) return result;
    return id == join->id ? 0 : -ESTALE;
}

int joins_enter(const struct plan_join *join, int fd, struct failure *failure) {
    const char *name = joins_name(join->flag);
    int result = check(join, fd);
    if (result < 0) return fail(failure, result, -1, "namespace", name);
    if ((result = SYS(SYS_setns, fd, (int)join->flag)) < 0) return fail(failure, result, -1, "setns", name);
    sys_close(fd);
    /* New credentials bring back fs.suid_dumpable. */
    if (SYS(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return fail(failure, EPERM, -1, "dumpable", "-");
    return 0;
}

int joins_enter_all(const struct plan *plan, int first_fd, struct failure *failure) {
    int result = 0;
    for (unsigned i = 0; i < plan->joins && result == 0; i++) result = joins_enter(&plan->join[i], first_fd + (int)i, failure);
    return result;
}
