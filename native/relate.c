#include "error.h"
#include "nsfs.h"
#include "owned_fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int relate_other(int other, const char *step, uint64_t *id, uint64_t *inode, struct nsf_error *error) {
    NSF_OWNED_FD fd = other;
    struct nsf_nsfs about;
    if (fd == -EPERM)
        return 0;
    if (fd < 0)
        return nsf_fail(error, -fd, step, NULL);
    int result = nsf_nsfs_identify(fd, &about);
    if (result < 0)
        return nsf_fail(error, -result, step, NULL);
    *id = about.id;
    *inode = about.inode;
    return 0;
}

static int relate_fd(int fd, const char *path, struct nsf_relation *out, struct nsf_error *error) {
    struct nsf_nsfs about;
    int type = nsf_nsfs_type(fd);
    if (type < 0)
        return nsf_fail(error, -type, "check_nsfs", path);
    int result = nsf_nsfs_identify(fd, &about);
    if (result < 0)
        return nsf_fail(error, -result, "identify", path);
    out->type = type;
    out->id = about.id;
    out->inode = about.inode;
    out->dev = about.dev;
    out->owner_uid = type == NSF_USER ? nsf_nsfs_owner_uid(fd) : -1;
    if (type == NSF_USER || type == NSF_PID) {
        result = relate_other(nsf_nsfs_parent(fd), "parent", &out->parent_id, &out->parent_inode, error);
        if (result < 0)
            return result;
    }
    return relate_other(nsf_nsfs_owner(fd), "owner", &out->owner_id, &out->owner_inode, error);
}

int nsf_relate(int32_t fd, const char *path, struct nsf_relation *relation, struct nsf_error *error) {
    memset(relation, 0, sizeof *relation);
    relation->size = sizeof *relation;
    relation->version = NSF_ABI;
    if (fd >= 0)
        return relate_fd(fd, NULL, relation, error);
    /* Nonblocking: a fifo at PATH must not stop the caller before it is seen to be none of ours. */
    NSF_OWNED_FD opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (opened < 0)
        return nsf_fail_errno(error, "open", path);
    return relate_fd(opened, path, relation, error);
}

int nsf_process_namespaces(int32_t pid, uint64_t out[2 * NSF_TYPES], struct nsf_error *error) {
    for (int type = 0; type < NSF_TYPES; type++) {
        char path[48];
        struct nsf_nsfs about;
        snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, nsf_link_names[type]);
        NSF_OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return nsf_fail_errno(error, "open", path);
        int result = nsf_nsfs_identify(fd, &about);
        if (result < 0)
            return nsf_fail(error, -result, "identify", path);
        out[2 * type] = about.id;
        out[2 * type + 1] = about.inode;
    }
    return 0;
}
