#include "error.h"
#include "nsfs.h"
#include "owned_fd.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define NSFS_HANDLE_TYPE 0xf1 /* FILEID_NSFS, Linux 6.18 */

/* struct nsfs_file_handle of linux/nsfs.h, behind the head that every handle has. */
struct handle {
    struct {
        uint32_t bytes;
        int32_t type;
    } head;
    uint64_t id;
    uint32_t type;
    uint32_t inode;
};

static int open_handle(int nsfs, const struct handle *handle) {
    int fd = open_by_handle_at(nsfs, (struct file_handle *)(uintptr_t)handle, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

int nsf_alive(uint64_t id, int32_t type, uint64_t inode, struct nsf_error *error) {
    static const char own_path[] = "/proc/self/ns/net";
    NSF_OWNED_FD own = open(own_path, O_RDONLY | O_CLOEXEC);
    if (own < 0)
        return nsf_fail_errno(error, "open", own_path);
    struct nsf_nsfs about;
    int result = nsf_nsfs_identify(own, &about);
    if (result < 0)
        return nsf_fail(error, -result, "identify", own_path);
    const uint32_t bytes = sizeof(struct handle) - sizeof(((struct handle *)0)->head);
    const struct handle known = {{bytes, NSFS_HANDLE_TYPE}, about.id, nsf_clone_flag(NSF_NET), (uint32_t)about.inode};
    const struct handle asked = {{bytes, NSFS_HANDLE_TYPE}, id, nsf_clone_flag(type), (uint32_t)inode};
    result = open_handle(own, &asked);
    if (result == 0)
        return 1;
    /* ESTALE is also what a kernel says that knows no such handles: one that is surely there decides. */
    if (result == -ESTALE && open_handle(own, &known) == 0)
        return 0;
    return nsf_fail(error, result == -ESTALE ? EOPNOTSUPP : -result, "open_by_handle", NULL);
}
