/* The kernel without libc, which the shim does not carry: its start-up would cost more than all of the shim's own work before
 * the first namespace (start.c). Also interfaces newer than the headers of the oldest supported build (Linux 5.3); numbers from
 * 424 on are the same on every architecture. */
#ifndef NSFLEET_SHIM_SYS_H
#define NSFLEET_SHIM_SYS_H

#include "../raw_syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

enum {
    NR_PIDFD_SEND_SIGNAL = 424, NR_OPEN_TREE = 428, NR_MOVE_MOUNT = 429, NR_FSOPEN = 430, NR_FSCONFIG = 431, NR_FSMOUNT = 432,
    NR_PIDFD_OPEN = 434, NR_CLONE3 = 435, NR_CLOSE_RANGE = 436, NR_OPENAT2 = 437, NR_MOUNT_SETATTR = 442
};

/* openat2 */
#define SYS_RESOLVE_NO_XDEV 0x01u
#define SYS_RESOLVE_NO_MAGICLINKS 0x02u
#define SYS_RESOLVE_NO_SYMLINKS 0x04u
#define SYS_RESOLVE_BENEATH 0x08u
#define SYS_RESOLVE_IN_ROOT 0x10u

/* open_tree, move_mount, fsconfig, mount_setattr */
#define SYS_OPEN_TREE_CLONE 1u
#define SYS_RECURSIVE 0x8000u /* AT_RECURSIVE */
#define SYS_EMPTY_PATH 0x1000u /* AT_EMPTY_PATH */
#define SYS_SYMLINK_NOFOLLOW 0x100u /* AT_SYMLINK_NOFOLLOW */
#define SYS_MOVE_MOUNT_F_EMPTY_PATH 0x04u
#define SYS_MOVE_MOUNT_T_EMPTY_PATH 0x40u
#define SYS_FSCONFIG_SET_FLAG 0u
#define SYS_FSCONFIG_SET_STRING 1u
#define SYS_FSCONFIG_CMD_CREATE 6u
#define SYS_ATTR_RDONLY 0x1u
#define SYS_ATTR_NOSUID 0x2u
#define SYS_ATTR_NODEV 0x4u
#define SYS_ATTR_NOEXEC 0x8u
#define SYS_ATTR_IDMAP 0x100000u

/* clone3; the namespace flags are those of clone(2) */
#define SYS_CLONE_FILES 0x400u
#define SYS_CLONE_PARENT 0x8000u
#define SYS_CLONE_NEWTIME 0x80u
#define SYS_CLONE_NEWNS 0x20000u
#define SYS_CLONE_NEWCGROUP 0x2000000u
#define SYS_CLONE_NEWUTS 0x4000000u
#define SYS_CLONE_NEWIPC 0x8000000u
#define SYS_CLONE_NEWUSER 0x10000000u
#define SYS_CLONE_NEWPID 0x20000000u
#define SYS_CLONE_NEWNET 0x40000000u
#define SYS_CLONE_PIDFD 0x1000u
#define SYS_CLONE_INTO_CGROUP 0x200000000u /* Linux 5.7 */
#define SYS_NAMESPACES                                                                                                   \
    (SYS_CLONE_NEWTIME | SYS_CLONE_NEWNS | SYS_CLONE_NEWCGROUP | SYS_CLONE_NEWUTS | SYS_CLONE_NEWIPC | SYS_CLONE_NEWUSER | \
       SYS_CLONE_NEWPID | SYS_CLONE_NEWNET)

struct sys_open_how {
    uint64_t flags, mode, resolve;
};

struct sys_mount_attr {
    uint64_t set, clear, propagation, userns_fd;
};

struct sys_clone_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

/* SYS(number, up to six arguments): the result or -errno, as every wrapper. Results that an int does not hold are not asked for. */
#define SYS(...) SYS_PADDED(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define SYS_PADDED(n, a, b, c, d, e, f, ...) sys_call(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

__attribute__((always_inline)) static inline int sys_call(long number, long a, long b, long c, long d, long e, long f) {
    return (int)nsf_raw6(number, a, b, c, d, e, f);
}

__attribute__((noreturn)) static inline void sys_exit(int status) {
    for (;;) SYS(SYS_exit_group, status);
}

static inline void sys_close(int fd) {
    SYS(SYS_close, fd);
}

static inline uint32_t sys_geteuid(void) {
    return (uint32_t)SYS(SYS_geteuid);
}

static inline int sys_openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct sys_open_how how = {flags | O_CLOEXEC, mode, resolve};
    int result;
    /* EAGAIN: a rename or mount raced with a scoped lookup (openat2(2)); bounded so that an attacker's loop only fails us. */
    for (int tries = 0; tries < 64; tries++)
        if ((result = SYS(NR_OPENAT2, dir, path, &how, sizeof how)) != -EAGAIN) break;
    return result;
}

static inline int sys_mount_setattr(int fd, uint64_t set, uint64_t propagation, unsigned recursive) {
    struct sys_mount_attr attr = {set, 0, propagation, 0};
    return SYS(NR_MOUNT_SETATTR, fd, "", SYS_EMPTY_PATH | (recursive ? SYS_RECURSIVE : 0), &attr, sizeof attr);
}

static inline int sys_clone_tree(int fd, unsigned recursive) {
    return SYS(NR_OPEN_TREE, fd, "", SYS_OPEN_TREE_CLONE | SYS_EMPTY_PATH | O_CLOEXEC | (recursive ? SYS_RECURSIVE : 0));
}

/* Puts a detached mount onto what target is open on. */
static inline int sys_move_mount(int mount, int target) {
    return SYS(NR_MOVE_MOUNT, mount, "", target, "", SYS_MOVE_MOUNT_F_EMPTY_PATH | SYS_MOVE_MOUNT_T_EMPTY_PATH);
}

static inline int sys_close_range(unsigned from) {
    return SYS(NR_CLOSE_RANGE, from, ~0u, 0);
}

/* A copying clone: memory and descriptors are copied, as by fork(2). The child is born in the cgroup that the descriptor is of; -1: in
 * its parent's. 0 in the child; else its pid, and *pidfd. */
static inline int sys_clone_into(uint64_t flags, int *pidfd, int cgroup) {
    struct sys_clone_args args = {.flags = flags | SYS_CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)pidfd, .exit_signal = 17 /* SIGCHLD */};
    if (cgroup >= 0) {
        args.flags |= SYS_CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)cgroup;
    }
    return SYS(NR_CLONE3, &args, sizeof args);
}

static inline int sys_clone(uint64_t flags, int *pidfd) {
    return sys_clone_into(flags, pidfd, -1);
}

static inline void close_owned(int *fd) {
    if (*fd >= 0) sys_close(*fd);
}

/* Closes at the end of its block unless set to -1 before. */
#define OWNED_FD __attribute__((cleanup(close_owned))) int

/* Closes now, and marks it closed. */
static inline void close_now(int *fd) {
    if (*fd >= 0) sys_close(*fd);
    *fd = -1;
}

#endif
