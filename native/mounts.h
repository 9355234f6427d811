#ifndef NSF_MOUNTS_H
#define NSF_MOUNTS_H

#include "found.h"
#include "visitor.h"

/* A bind mount of a namespace. */
struct nsf_mount {
    uint64_t id;       /* as nsf_reference.mount_id */
    const char *root;  /* "net:[4026532281]" */
    size_t root_bytes;
    const char *point; /* in the mount namespace, NUL behind it */
    size_t point_bytes;
};

/*
 * What one search bears for mounts that are slow to look at, of whose namespaces anybody may make thousands: what is found elsewhere must not wait
 * for them. When it is used up they are known by their inodes.
 */
struct nsf_patience {
    int64_t uncovering_ms; /* left for over-mounted ones: each costs a copy of its whole mount namespace */
    int32_t losses;        /* left of visitors that did not answer in time */
    struct nsf_left_child *left;
};

/* One mount namespace being looked into. */
struct nsf_mount_place {
    struct nsf_patience *patience;
    struct nsf_finding *found;
    int proc;
    int32_t row;        /* of the mount namespace */
    int32_t pid;        /* a process or thread in it, or 0 */
    int mount_ns;       /* a descriptor of it, or -1 */
    int root;           /* its root, of that process, or -1 */
    int whole;          /* a root was seen in its mounts: they are not only those below a chroot(2) */
    int visiting;       /* the visitor was asked for */
    int refused;        /* then why it is not there, or 0 */
    struct nsf_visitor visitor;
};

/* Called for each bind mount of a namespace; 0 or what nsf_is_fatal says of. */
typedef int (*nsf_each_mount)(struct nsf_mount_place *place, const struct nsf_mount *mount);

/*
 * By listmount(2) and statmount(2), which need neither a process in the namespace nor its text (Linux 6.11): 0, or -errno, -ENOSYS and -EINVAL
 * among them; nothing was called then.
 */
int nsf_list_mounts(struct nsf_mount_place *place, nsf_each_mount each);

/* From the mountinfo at DIR and PATH. 0 or -errno, which may come from EACH. */
int nsf_list_mounts_of(struct nsf_mount_place *place, int dir, const char *path, nsf_each_mount each);

/* The child in this mount namespace, started when first asked for. 0 or -errno. */
int nsf_mount_visit(struct nsf_mount_place *place);

/*
 * An O_PATH descriptor of an over-mounted MOUNT, whose namespace has the inode INODE: in a copy of its mount namespace all that covers it is taken
 * off. -errno; -ENOENT: mounts of mount namespaces are not copied (fs/namespace.c, copy_tree).
 */
int nsf_uncover_mount(struct nsf_mount_place *place, const struct nsf_mount *mount, uint64_t inode);

/* 0 if FD, an O_PATH descriptor, is a namespace with this inode; else -ENOENT. */
int nsf_check_namespace(int fd, uint64_t inode);

#endif
