#ifndef NSF_NSFS_H
#define NSF_NSFS_H

#include <stdint.h>

/* What one namespace file tells by itself. */
struct nsf_nsfs {
    uint64_t id; /* 0: the kernel has none */
    uint64_t inode;
    uint64_t dev;
};

/* /proc/<pid>/ns/<name>, indexed by enum nsf_link. */
extern const char *const nsf_link_names[];

/* CLONE_NEW… of an enum nsf_type. */
uint32_t nsf_clone_flag(int type);

/* The type that a link shows: pid_for_children shows a pid namespace. */
int nsf_link_type(int link);

/* 0 if FD, which may be an O_PATH one of anything, is on nsfs; -EINVAL if not, or -errno. Asks no file system: fstatfs(2) waits for that of a FUSE server. */
int nsf_nsfs_check(int fd);
/* 0 or -errno. */
int nsf_nsfs_identify(int fd, struct nsf_nsfs *out);
/* The same in two steps: all but the id, which is 0, and the id, 0 where the kernel has none. */
int nsf_nsfs_inode(int fd, struct nsf_nsfs *out);
uint64_t nsf_nsfs_id(int fd);
/* Index of the type (enum nsf_type), -EINVAL if FD is no namespace, or -errno. Of what was opened, so not of anything. */
int nsf_nsfs_type(int fd);
/* A new descriptor, or -errno; -EPERM: there is none, or it is outside of the caller's sight (ioctl_nsfs(2)). */
int nsf_nsfs_parent(int fd);
int nsf_nsfs_owner(int fd);
/*
 * The pid namespace that the next children of PID get, also where its link is not there because it has no init yet: a descriptor, or -errno; -ENOENT
 * before Linux 6.11. THREAD: PID is a thread's.
 */
int nsf_nsfs_pid_for_children(int32_t pid, int thread);
/* Effective uid of the creator of a user namespace, or -1. */
int64_t nsf_nsfs_owner_uid(int fd);

#endif
