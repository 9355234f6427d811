#include "mounts.h"

#include "error.h"
#include "nsfs.h"
#include "ns_link.h"
#include "owned_fd.h"
#include "proc_stat.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef SYS_openat2
#define SYS_openat2 437 /* Linux 5.6 */
#endif
/* RESOLVE_NO_MAGICLINKS, _NO_SYMLINKS, _IN_ROOT and _CACHED (Linux 5.12): the last never waits for a file system. */
#define SAFELY (0x02ull | 0x04ull | 0x10ull | 0x20ull)
/* A seqlock that a mount elsewhere holds answers EAGAIN, too (fs/namei.c, LOOKUP_CACHED). */
#define SAFE_TRIES 3
#define UNCOVERING_MS 3000
#define LOSSES_MAX 3

int nsf_check_namespace(int fd, uint64_t inode) {
    struct statx about;
    if (nsf_nsfs_check(fd) < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_INO, &about) != 0 || about.stx_ino != inode)
        return -ENOENT;
    return 0;
}

/*
 * What a file system answers is its own choice: by ENOSPC or EMFILE one of a container's would end the whole search, or have it repeated with ever
 * more room.
 */
static int from_outside(int result) {
    return nsf_is_fatal(result) ? -EIO : result;
}

int nsf_mount_visit(struct nsf_mount_place *place) {
    if (!place->visiting) {
        if (place->patience->losses <= 0)
            return -ETIMEDOUT;
        place->visiting = 1;
        place->refused = place->mount_ns < 0 ? -ENOENT : nsf_visitor_start(&place->visitor, place->patience->left, place->mount_ns, -1);
        if (place->mount_ns >= 0 && place->refused < 0) {
            place->patience->losses -= place->visitor.lost;
            nsf_visitor_end(&place->visitor);
        }
    }
    return place->refused;
}

/* FD if it is the namespace, else -ENOENT; then it is closed. FD may be -errno. */
static int keep_if(int fd, uint64_t inode) {
    if (fd < 0)
        return fd;
    if (nsf_check_namespace(fd, inode) == 0)
        return fd;
    close(fd);
    return -ENOENT;
}

/* By the root of a process there. Its root may be another than the namespace's, so finding something else says nothing. */
static int open_from_process(struct nsf_mount_place *place, const char *path, uint64_t inode) {
    const uint64_t how[3] = {O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, SAFELY};
    char root[32];
    if (place->pid == 0)
        return -ENOENT;
    if (place->root < 0) {
        snprintf(root, sizeof root, "%d/root", place->pid);
        place->root = openat(place->proc, root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (place->root < 0)
            return -errno;
    }
    int fd = -1;
    for (int tries = 0; fd < 0 && tries < SAFE_TRIES; tries++) {
        fd = (int)syscall(SYS_openat2, place->root, path, how, sizeof how);
        if (fd < 0 && errno != EAGAIN)
            return -errno;
    }
    return fd < 0 ? -EAGAIN : keep_if(fd, inode);
}

/* What it does not see, nobody sees: its root is that of the mount namespace, and not one that chroot(2) gave it. */
static int sees_all(const struct nsf_mount_place *place) {
    char path[32];
    char root[2];
    snprintf(path, sizeof path, "%d/root", place->pid);
    return place->pid > 0 && readlinkat(place->proc, path, root, sizeof root) == 1;
}

/* An O_PATH descriptor of what MOUNT's path shows, if that is MOUNT; -ENOENT: it shows something else. */
static int open_shown(struct nsf_mount_place *place, const struct nsf_mount *mount, uint64_t inode) {
    int fd = open_from_process(place, mount->point, inode);
    if (fd >= 0 || (fd == -ENOENT && sees_all(place)))
        return fd;
    int visited = nsf_mount_visit(place);
    return visited < 0 ? visited : keep_if(from_outside(nsf_visitor_open(&place->visitor, mount->point)), inode);
}

/* Row of the namespace that MOUNT is one of, or what nsf_is_fatal says of. */
static int32_t resolve(struct nsf_mount_place *place, const struct nsf_mount *mount, int type, uint64_t inode, uint8_t *covered) {
    struct nsf_finding *found = place->found;
    int32_t row = nsf_table_find(&found->table, type, inode);
    NSF_OWNED_FD fd = open_shown(place, mount, inode);
    *covered = fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP;
    if (row >= 0 || nsf_is_fatal(fd))
        return row >= 0 ? row : fd;
    int32_t failed = fd;
    if (fd < 0 && *covered && place->patience->uncovering_ms > 0 && place->patience->losses > 0) {
        int64_t start = nsf_visitor_now_ms();
        fd = from_outside(nsf_uncover_mount(place, mount, inode));
        place->patience->uncovering_ms -= nsf_visitor_now_ms() - start;
    }
    if (fd >= 0)
        row = nsf_finding_resolve(found, fd);
    if (row >= 0 || nsf_is_fatal(row) || nsf_is_fatal(fd))
        return row >= 0 || nsf_is_fatal(row) ? row : fd;
    /* The mount itself holds it, so it is there: better known by its inode than not at all. */
    if (*covered)
        found->head->hidden[NSF_HIDDEN_COVERED_MOUNT]++;
    else
        nsf_finding_hide(found, NSF_HIDDEN_NAMESPACE, failed < 0 ? -failed : EIO);
    return nsf_table_note(&found->table, type, inode);
}

static int add_mount(struct nsf_mount_place *place, const struct nsf_mount *mount) {
    uint64_t inode;
    uint8_t covered = 0;
    int type = nsf_parse_ns_link(mount->root, mount->root_bytes, &inode);
    if (type < 0)
        return 0;
    int32_t row = resolve(place, mount, type, inode, &covered);
    if (row < 0)
        return row;
    struct nsf_reference *reference = nsf_finding_add(place->found, NSF_MOUNT, row, mount->point, mount->point_bytes);
    if (!reference)
        return 0;
    reference->mount_id = mount->id;
    reference->mount_ns = place->row;
    reference->covered = covered;
    return 0;
}

/*
 * A process that was moved by chroot(2) is shown the mounts below its root only, and no root among them: -ENOENT then, so that the visitor lists all.
 */
static int list_from_process(struct nsf_mount_place *place) {
    char path[32];
    snprintf(path, sizeof path, "%d/mountinfo", place->pid);
    place->whole = 0;
    int result = nsf_list_mounts_of(place, place->proc, path, add_mount);
    return result == 0 && !place->whole ? -ENOENT : result;
}

static int list_from_visitor(struct nsf_mount_place *place) {
    char path[32];
    int result = nsf_mount_visit(place);
    if (result < 0)
        return result;
    /* The usual procfs, as the one that is searched may hide the child. */
    snprintf(path, sizeof path, "/proc/%d/mountinfo", place->visitor.pid);
    return nsf_list_mounts_of(place, AT_FDCWD, path, add_mount);
}

/* The cheapest way that works. A mount that is found twice, by a way that fails half-way and the next, is one reference by its id. */
static int list_place(struct nsf_mount_place *place) {
    int result = nsf_list_mounts(place, add_mount);
    if (result == 0 || nsf_is_fatal(result))
        return result;
    if (place->pid > 0) {
        result = list_from_process(place);
        if (result == 0 || nsf_is_fatal(result))
            return result;
        if (result == -EACCES || result == -EPERM) {
            nsf_finding_hide(place->found, NSF_HIDDEN_MOUNTINFO, -result);
            return 0;
        }
    }
    result = list_from_visitor(place);
    if (result < 0 && !nsf_is_fatal(result))
        nsf_finding_hide(place->found, NSF_HIDDEN_MOUNT_NAMESPACE, result == -ENOENT || result == -ESRCH ? EIO : -result);
    return nsf_is_fatal(result) ? result : 0;
}

static int search_place(struct nsf_finding *found, int proc, int32_t row, struct nsf_patience *patience) {
    struct nsf_namespace *space = &found->table.rows[row];
    struct nsf_mount_place place = {
        .patience = patience,
        .found = found,
        .proc = proc,
        .row = row,
        .pid = space->leader_pid,
        .mount_ns = found->table.pins[row],
        .root = -1,
        .visitor = {.pidfd = -1},
    };
    int result = list_place(&place);
    if (place.root >= 0)
        close(place.root);
    patience->losses -= place.visitor.lost;
    nsf_visitor_end(&place.visitor);
    /* It was a note for here, and rows say nothing of members. */
    space->leader_pid = 0;
    return result;
}

/* Row of the mount namespace behind DOOR, or -errno; -EINVAL: another descriptor has the number by now. */
static int32_t resolve_door(struct nsf_finding *found, int proc, const struct nsf_door *door) {
    char path[48];
    char text[64];
    int type;
    uint64_t inode;
    if (door->fd < 0)
        snprintf(path, sizeof path, "%d/ns/mnt", door->pid);
    else
        snprintf(path, sizeof path, "%d/fd/%d", door->pid, door->fd);
    ssize_t bytes = readlinkat(proc, path, text, sizeof text);
    if (bytes < 0)
        return -errno;
    int32_t row = nsf_finding_known(found, text, (size_t)bytes, &type, &inode);
    if (type != NSF_MNT)
        return -EINVAL;
    if (row < 0) {
        NSF_OWNED_FD fd = openat(proc, path, O_PATH | O_CLOEXEC);
        row = fd < 0 ? -errno : nsf_finding_resolve(found, fd);
    }
    if (row >= 0 && found->table.rows[row].type != NSF_MNT)
        return -EINVAL;
    if (row >= 0 && door->fd < 0)
        found->table.rows[row].leader_pid = door->pid;
    return row;
}

static int search_mounts(struct nsf_finding *found, int proc, const struct nsf_door *doors, uint32_t count, struct nsf_left_child *left) {
    struct nsf_patience patience = {.uncovering_ms = UNCOVERING_MS, .losses = LOSSES_MAX, .left = left};
    for (uint32_t at = 0; at < count; at++) {
        int32_t row = resolve_door(found, proc, &doors[at]);
        if (nsf_is_fatal(row))
            return row;
        if (row < 0 && row != -EINVAL)
            nsf_finding_hide(found, NSF_HIDDEN_MOUNTINFO, -row);
    }
    /* Grows meanwhile: a mount may hold a mount namespace that nobody is in. */
    for (uint32_t row = 0; row < found->table.count; row++) {
        if (found->table.rows[row].type != NSF_MNT)
            continue;
        int result = search_place(found, proc, (int32_t)row, &patience);
        if (result < 0)
            return result;
    }
    return 0;
}

int nsf_mounts(const char *proc, const struct nsf_door *doors, uint32_t door_count, struct nsf_left_child *left,
               const struct nsf_room *room, void *buffer, uint64_t bytes, struct nsf_error *error) {
    struct nsf_finding found;
    NSF_OWNED_FD opened = nsf_open_proc(proc, error);
    if (opened < 0)
        return opened;
    if (nsf_finding_start(&found, room, buffer, bytes, 1) < 0)
        return nsf_fail(error, EINVAL, "buffer", NULL);
    nsf_left_child_count(left); /* so that the caller sees who has ended, also where nobody has to be sent */
    int result = search_mounts(&found, opened, doors, door_count, left);
    if (result < 0)
        nsf_fail(error, -result, "search_mounts", NULL);
    return nsf_finding_end(&found, result, error);
}
