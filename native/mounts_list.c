#include "mounts.h"

#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <unistd.h>

/* linux/mount.h and linux/nsfs.h of Debian 12 know none of these. */
#ifndef SYS_statmount
#define SYS_statmount 457 /* Linux 6.8 */
#endif
#ifndef SYS_listmount
#define SYS_listmount 458
#endif
#define NS_GET_MNTNS_ID 0x8008b705u /* Linux 6.11, with the request by mount namespace */
#define LIST_ROOT UINT64_MAX        /* LSMT_ROOT */
#define WANT_SUPER 0x01u            /* STATMOUNT_SB_BASIC */
#define WANT_ROOT 0x08u             /* STATMOUNT_MNT_ROOT */
#define WANT_POINT 0x10u            /* STATMOUNT_MNT_POINT */
#define NSFS_SUPER_MAGIC 0x6e736673
#define IDS 512
#define STRING_BYTES 8192 /* a root of at most 40 bytes and a mount point of at most 4,096 */

struct request { /* struct mnt_id_req */
    uint32_t size;
    uint32_t spare;
    uint64_t mount_id;
    uint64_t param;
    uint64_t namespace_id;
};

struct answer { /* struct statmount, whose strings begin at 512 */
    uint32_t size;
    uint32_t options;
    uint64_t mask;
    uint32_t device_major;
    uint32_t device_minor;
    uint64_t super_magic;
    uint32_t super_flags;
    uint32_t type;
    uint64_t id;
    uint64_t parent_id;
    uint32_t old_id;
    uint32_t old_parent_id;
    uint64_t attributes;
    uint64_t propagation;
    uint64_t peer_group;
    uint64_t master;
    uint64_t propagate_from;
    uint32_t root;
    uint32_t point;
    uint64_t reserved[50];
};
_Static_assert(sizeof(struct answer) == 512, "struct statmount");

struct whole_answer {
    struct answer fixed;
    char strings[STRING_BYTES];
};

static long ask(uint64_t namespace_id, uint64_t id, uint64_t want, void *out, size_t bytes) {
    const struct request request = {.size = sizeof request, .mount_id = id, .param = want, .namespace_id = namespace_id};
    return syscall(SYS_statmount, &request, out, bytes, 0u);
}

/* 0 for a mount that is gone meanwhile. */
static int take_mount(struct nsf_mount_place *place, uint64_t namespace_id, uint64_t id, nsf_each_mount each) {
    struct answer super;
    struct whole_answer whole;
    if (ask(namespace_id, id, WANT_SUPER, &super, sizeof super) != 0 || super.super_magic != NSFS_SUPER_MAGIC)
        return 0;
    if (ask(namespace_id, id, WANT_ROOT | WANT_POINT, &whole, sizeof whole) != 0)
        return 0;
    if (whole.fixed.root >= STRING_BYTES || whole.fixed.point >= STRING_BYTES)
        return 0;
    struct nsf_mount mount = {.id = id, .root = whole.strings + whole.fixed.root, .point = whole.strings + whole.fixed.point};
    mount.root_bytes = strnlen(mount.root, STRING_BYTES - whole.fixed.root);
    mount.point_bytes = strnlen(mount.point, STRING_BYTES - whole.fixed.point);
    if (mount.root_bytes == STRING_BYTES - whole.fixed.root || mount.point_bytes == STRING_BYTES - whole.fixed.point)
        return 0;
    return each(place, &mount);
}

int nsf_list_mounts(struct nsf_mount_place *place, nsf_each_mount each) {
    uint64_t ids[IDS];
    struct request request = {.size = sizeof request, .mount_id = LIST_ROOT};
    if (place->mount_ns < 0)
        return -ENOENT;
    if (ioctl(place->mount_ns, NS_GET_MNTNS_ID, &request.namespace_id) != 0)
        return -errno;
    for (;;) {
        long count = syscall(SYS_listmount, &request, ids, IDS, 0u);
        if (count < 0)
            return -errno;
        for (long at = 0; at < count; at++) {
            int result = take_mount(place, request.namespace_id, ids[at], each);
            if (result < 0)
                return result;
        }
        if (count < IDS)
            return 0;
        request.param = ids[count - 1];
    }
}
