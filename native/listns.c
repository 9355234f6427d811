#include "error.h"
#include "found.h"
#include "nsfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_listns
#define SYS_listns 470 /* Linux 6.19 */
#endif
#define NSFS_ROOT (-10003)    /* FD_NSFS_ROOT of linux/fcntl.h, Linux 6.18 */
#define NSFS_HANDLE_TYPE 0xf1 /* FILEID_NSFS */

struct request { /* struct ns_id_req of linux/nsfs.h */
    uint32_t size;
    uint32_t spare;
    uint64_t after; /* the id to go on behind */
    uint32_t types; /* 0: all */
    uint32_t spare2;
    uint64_t user_ns_id;
};

struct handle { /* struct file_handle with struct nsfs_file_handle in it */
    uint32_t bytes;
    int32_t type;
    uint64_t ns_id;
    uint32_t ns_type; /* 0, with the inode: by the id alone, Linux 6.19 */
    uint32_t ns_inode;
};

int nsf_listns(uint64_t *ids, uint32_t max, uint32_t *count, struct nsf_error *error) {
    struct request request = {.size = sizeof request};
    *count = 0;
    for (;;) {
        if (*count == max)
            return nsf_fail(error, ENOSPC, "ids", NULL);
        long listed = syscall(SYS_listns, &request, ids + *count, (size_t)(max - *count), 0u);
        if (listed < 0)
            return nsf_fail_errno(error, "listns", NULL);
        if (listed == 0)
            return 0;
        *count += (uint32_t)listed;
        request.after = ids[*count - 1];
    }
}

/* Row of the namespace with this id, or -errno; -ESTALE: it has ended. */
static int32_t resolve_id(struct nsf_finding *found, uint64_t id) {
    struct handle handle = {.bytes = sizeof handle - 2 * sizeof(uint32_t), .type = NSFS_HANDLE_TYPE, .ns_id = id};
    int fd = (int)syscall(SYS_open_by_handle_at, NSFS_ROOT, &handle, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int type = nsf_nsfs_type(fd);
    if (type < 0) {
        close(fd);
        return type;
    }
    return nsf_table_resolve(&found->table, type, fd);
}

int nsf_open_ids(const uint64_t *ids, uint32_t count, const struct nsf_room *room, void *buffer, uint64_t bytes,
                 struct nsf_error *error) {
    struct nsf_finding found;
    if (nsf_finding_start(&found, room, buffer, bytes, 1) < 0)
        return nsf_fail(error, EINVAL, "buffer", NULL);
    int result = 0;
    for (uint32_t at = 0; at < count && result == 0; at++) {
        int32_t row = resolve_id(&found, ids[at]);
        if (nsf_is_fatal(row))
            result = nsf_fail(error, -row, "open_by_handle_at", NULL);
        else if (row < 0 && row != -ESTALE && row != -ENOENT)
            found.head->hidden[NSF_HIDDEN_LISTNS]++;
    }
    return nsf_finding_end(&found, result, error);
}
