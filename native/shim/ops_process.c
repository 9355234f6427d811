/* Operations on the process itself and on its namespaces. */
#include "caps.h"
#include "interpret.h"
#include "remains.h"
#include "sys.h"

#include <linux/capability.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

int op_hostname(struct work *work, const struct plan_op *op) {
    (void)work;
    return SYS(SYS_sethostname, op->string[0], (size_t)op->length[0]);
}

int op_domainname(struct work *work, const struct plan_op *op) {
    (void)work;
    return SYS(SYS_setdomainname, op->string[0], (size_t)op->length[0]);
}

int op_loopback_up(struct work *work, const struct plan_op *op) {
    struct ifreq request;
    (void)op;
    if (work->prepared) return 0;
    OWNED_FD fd = SYS(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return fd;
    memset(&request, 0, sizeof request);
    memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = IFF_UP;
    return SYS(SYS_ioctl, fd, SIOCSIFFLAGS, &request);
}

int op_unshare(struct work *work, const struct plan_op *op) {
    (void)work;
    /* a: namespace flags. Only the cgroup namespace: its root is the caller's cgroup at this moment. */
    return op->a == SYS_CLONE_NEWCGROUP ? SYS(SYS_unshare, (unsigned long)op->a) : -EINVAL;
}

int op_sysctl(struct work *work, const struct plan_op *op) {
    /* The sandbox's own fresh procfs: nothing mounted in it and no link of it is followed. */
    OWNED_FD proc = sys_openat2(work->root_fd, "/proc/sys", O_PATH | O_DIRECTORY, 0, SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_SYMLINKS);
    if (proc < 0) return proc;
    OWNED_FD file = sys_openat2(proc, op->string[0], O_WRONLY, 0,
                                  SYS_RESOLVE_BENEATH | SYS_RESOLVE_NO_SYMLINKS | SYS_RESOLVE_NO_XDEV | SYS_RESOLVE_NO_MAGICLINKS);
    if (file < 0) return file == -ENOENT && (op->flags & PF_OPTIONAL) != 0 ? 0 : file;
    int n = SYS(SYS_write, file, op->string[1], (size_t)op->length[1]);
    return n < 0 ? n : 0;
}

int op_dumpable(struct work *work, const struct plan_op *op) {
    (void)work;
    return op->a > 1 ? -EINVAL : SYS(SYS_prctl, PR_SET_DUMPABLE, (unsigned long)op->a, 0, 0, 0);
}

int op_no_new_privs(struct work *work, const struct plan_op *op) {
    (void)work, (void)op;
    return SYS(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int op_drop_capabilities(struct work *work, const struct plan_op *op) {
    /* A ready one has none left to keep: ready.c and canFollow see to it that none is asked for. */
    int result = work->prepared ? 0 : caps_forbid(op->a);
    uint64_t needed = CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID) | (remains_possible(work->plan) ? CAP_BIT(CAP_KILL) : 0);
    work->capabilities = op->a;
    return result < 0 ? result : caps_set(needed | op->a);
}

int op_session_keyring(struct work *work, const struct plan_op *op) {
    (void)work, (void)op;
    int result = SYS(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
    return result < 0 && result != -ENOSYS ? result : 0;
}

int op_umask(struct work *work, const struct plan_op *op) {
    (void)work;
    SYS(SYS_umask, (mode_t)(op->mode & 0777));
    return 0;
}
