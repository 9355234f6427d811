#include "target.h"

#include "sys.h"

#include <string.h>
#include <sys/stat.h>

#define PATH_SIZE 4096u

static uint64_t resolve_flags(const struct plan_op *op) {
    return SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_MAGICLINKS | ((op->flags & PF_SYMLINKS) != 0 ? 0 : SYS_RESOLVE_NO_SYMLINKS);
}

int target_open(const struct work *work, const struct plan_op *op, const char *path, int flags) {
    if (work->root_fd < 0) return -EBADF;
    return sys_openat2(work->root_fd, path, (uint64_t)(O_PATH | flags), 0, resolve_flags(op));
}

int target_parent(const struct work *work, const struct plan_op *op, const char *path, const char **name) {
    char parent[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    size_t length;

    if (slash == NULL || slash[1] == 0) return -EINVAL;
    *name = slash + 1;
    if (strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0) return -EINVAL;
    length = slash == path ? 1 : (size_t)(slash - path);
    if (length >= sizeof parent) return -ENAMETOOLONG;
    memcpy(parent, path, length);
    parent[length] = 0;
    return target_open(work, op, parent, O_DIRECTORY);
}

/* Makes the mount point and opens it; -EEXIST if something is there already. */
static int create(const struct work *work, const struct plan_op *op, const char *path) {
    const char *name;
    OWNED_FD parent = target_parent(work, op, path, &name);
    if (parent < 0) return parent;
    if ((op->flags & PF_CREATE_FILE) != 0) return SYS(SYS_openat, parent, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    int result = SYS(SYS_mkdirat, parent, name, 0755);
    return result < 0 ? result : target_open(work, op, path, O_DIRECTORY);
}

int target_mount_point(const struct work *work, const struct plan_op *op, const char *path, int directory) {
    if ((op->flags & (PF_CREATE_FILE | PF_CREATE_DIRECTORY)) != 0) {
        int made = create(work, op, path);
        if (made != -EEXIST) return made;
    }
    return target_open(work, op, path, directory ? O_DIRECTORY : 0);
}
