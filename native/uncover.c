#include "mountinfo.h"
#include "mounts.h"
#include "owned_fd.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define MOUNTS_MAX 4096 /* of a mount namespace; where there are more, the over-mounted stay covered */
#define CHAIN_MAX 64
#define COVERS_MAX 64
#define STATX_WANT_MOUNT 0x1000u /* STATX_MNT_ID, Linux 5.8; glibc 2.28's struct has no field for it */

/* struct statx, of which only stx_mnt_id is wanted. */
struct with_mount {
    uint8_t before[144];
    uint64_t mount_id;
    uint8_t after[104];
};
_Static_assert(sizeof(struct with_mount) == 256, "struct statx");

struct pair {
    uint32_t id;
    uint32_t parent;
};

/* The mounts of the copy, and the one that is looked for. */
struct reading {
    const struct nsf_mount *mount;
    struct pair pairs[MOUNTS_MAX];
    uint32_t count;
    uint32_t target; /* 0: it is not among them */
};

/* The mounts that lead from the one that is covered up to the root. */
struct chain {
    uint32_t ids[CHAIN_MAX];
    uint32_t count;
};

static int take_line(void *arg, const struct nsf_mountinfo *line) {
    struct reading *reading = arg;
    const struct nsf_mount *mount = reading->mount;
    if (reading->count == MOUNTS_MAX)
        return -E2BIG;
    reading->pairs[reading->count++] = (struct pair){line->id, line->parent};
    if (line->root_bytes != mount->root_bytes || memcmp(line->root, mount->root, mount->root_bytes) != 0)
        return 0;
    size_t bytes = nsf_unescape_mountinfo(line->point, line->point_bytes, line->point);
    if (bytes == mount->point_bytes && memcmp(line->point, mount->point, bytes) == 0)
        reading->target = line->id;
    return 0;
}

static int find_target(const struct nsf_visitor *visitor, const struct nsf_mount *mount, struct chain *chain) {
    struct reading reading = {.mount = mount};
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/mountinfo", visitor->pid);
    int result = nsf_read_mountinfo(AT_FDCWD, path, take_line, &reading);
    if (result < 0)
        return result;
    for (uint32_t id = reading.target; id != 0 && chain->count < CHAIN_MAX;) {
        chain->ids[chain->count++] = id;
        uint32_t parent = 0;
        for (uint32_t at = 0; at < reading.count; at++)
            if (reading.pairs[at].id == id)
                parent = reading.pairs[at].parent;
        id = parent;
    }
    return chain->count == 0 ? -ENOENT : 0;
}

static int is_in(const struct chain *chain, uint64_t id) {
    for (uint32_t at = 0; at < chain->count; at++)
        if (chain->ids[at] == id)
            return 1;
    return 0;
}

/* The first part of POINT, up to a slash or the end, that shows a mount which is not on the way; a descriptor of the end if there is none. */
static int find_cover(struct nsf_visitor *visitor, const struct chain *chain, const char *point, char *prefix) {
    for (size_t at = 1;; at++) {
        struct with_mount about;
        if (point[at] != '/' && point[at] != 0)
            continue;
        memcpy(prefix, point, at);
        prefix[at] = 0;
        NSF_OWNED_FD fd = nsf_visitor_open(visitor, prefix);
        if (fd < 0)
            return fd;
        if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_WANT_MOUNT, &about) != 0)
            return -errno;
        if (!is_in(chain, about.mount_id))
            return -EBUSY;
        if (point[at] != 0)
            continue;
        int found = fd;
        fd = -1;
        return found;
    }
}

static int uncover(struct nsf_visitor *visitor, const struct nsf_mount *mount) {
    struct chain chain = {.count = 0};
    char prefix[PATH_MAX];
    int result = nsf_visitor_copy(visitor);
    if (result == 0)
        result = find_target(visitor, mount, &chain);
    if (result < 0)
        return result;
    for (int covers = 0; covers < COVERS_MAX; covers++) {
        int fd = find_cover(visitor, &chain, mount->point, prefix);
        if (fd != -EBUSY)
            return fd;
        result = nsf_visitor_unmount(visitor, prefix);
        if (result < 0)
            return result;
    }
    return -ELOOP;
}

int nsf_uncover_mount(struct nsf_mount_place *place, const struct nsf_mount *mount, uint64_t inode) {
    struct nsf_visitor visitor = {.pidfd = -1};
    if (place->mount_ns < 0 || mount->point_bytes == 0 || mount->point_bytes >= PATH_MAX || mount->point[0] != '/')
        return -ENOENT;
    int fd = nsf_visitor_start(&visitor, place->patience->left, place->mount_ns, -1);
    if (fd == 0)
        fd = uncover(&visitor, mount);
    place->patience->losses -= visitor.lost;
    nsf_visitor_end(&visitor);
    if (fd >= 0 && nsf_check_namespace(fd, inode) < 0) {
        close(fd);
        return -ENOENT;
    }
    return fd;
}
