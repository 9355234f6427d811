#include "target.h"

#include "sys.h"

#include <string.h>
#include <sys/stat.h>

static uint64_t resolve_flags(const struct plan_op *op) {
    return SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_MAGICLINKS | ((op->flags & PF_SYMLINKS) != 0 ? 0 : SYS_RESOLVE_NO_SYMLINKS);
}

int target_open(const struct work *work, const struct plan_op *op, const char *path, int flags) {
    if (work->root_fd < 0) return -EBADF;
    return sys_openat2(work->root_fd, path, (uint64_t)(O_PATH | flags), 0, resolve_flags(op));
}

void target_forget(struct work *work) {
    close_now(&work->parent_fd);
}

int target_parent(struct work *work, const struct plan_op *op, const char *path, const char **name) {
    const char *slash = strrchr(path, '/');
    size_t length;

    if (slash == NULL || slash[1] == 0) return -EINVAL;
    *name = slash + 1;
    if (strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0) return -EINVAL;
    length = slash == path ? 1 : (size_t)(slash - path);
    if (length >= sizeof work->parent) return -ENAMETOOLONG;
    unsigned symlinks = op->flags & PF_SYMLINKS;
    if (work->parent_fd >= 0 && work->parent_symlinks == symlinks && work->parent[length] == 0 && strncmp(work->parent, path, length) == 0)
        return work->parent_fd;
    target_forget(work);
    memcpy(work->parent, path, length);
    work->parent[length] = 0;
    work->parent_symlinks = symlinks;
    return work->parent_fd = target_open(work, op, work->parent, O_DIRECTORY);
}

/* Makes the mount point in its parent. */
static int create(int parent, const char *name, unsigned file) {
    return file ? SYS(SYS_mknodat, parent, name, S_IFREG | 0644, 0) : SYS(SYS_mkdirat, parent, name, 0755);
}

int target_attach(struct work *work, const struct plan_op *op, const char *path, int mount, int directory) {
    int result;
    if ((op->flags & (PF_CREATE_FILE | PF_CREATE_DIRECTORY)) != 0) {
        const char *name;
        int parent = target_parent(work, op, path, &name);
        if (parent < 0) return parent;
        if ((result = create(parent, name, op->flags & PF_CREATE_FILE)) == 0)
            /* Made just now, so nothing is below it that is remembered, and it is no symlink, which would not be followed either. */
            return SYS(NR_MOVE_MOUNT, mount, "", parent, name, SYS_MOVE_MOUNT_F_EMPTY_PATH);
        if (result != -EEXIST) return result;
    }
    OWNED_FD target = target_open(work, op, path, directory ? O_DIRECTORY : 0);
    if (target < 0) return target;
    /* A directory that is remembered may be covered by it. */
    target_forget(work);
    return sys_move_mount(mount, target);
}
