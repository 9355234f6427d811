/* Directories as a root: overlayfs over them, its changes in the placement's state directory or in memory. */
#include "interpret.h"
#include "sys.h"
#include "text.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Names in the state directory are single parts, so that a plan cannot lead out of it. */
static int valid_name(const char *name) {
    if (name[0] == 0 || name[0] == '.') return 0;
    for (; *name != 0; name++)
        if (*name == '/') return 0;
    return 1;
}

int op_state_mkdir(struct work *work, const struct plan_op *op) {
    const char *name = op->string[0];
    int result;
    if (!valid_name(name)) return -EINVAL;
    if ((result = SYS(SYS_mkdirat, work->state_fd, name, op->mode)) < 0 && result != -EEXIST) return result;
    OWNED_FD dir = SYS(SYS_openat, work->state_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (dir < 0) return dir;
    if (op->uid != PLAN_NO_ID && (result = SYS(SYS_fchown, dir, op->uid, op->gid)) < 0) return result;
    return SYS(SYS_fchmod, dir, op->mode); /* one that a killed try left may have another */
}

static void add_descriptor(struct text *text, int fd) {
    /* By descriptor: no path to escape or race, none shown in mountinfo, and directories above may be 0700. */
    text_add(text, "/proc/self/fd/");
    text_number(text, fd);
}

static int set_layer(int fs, const char *key, int fd) {
    char path[48] = "";
    struct text text = TEXT(path);
    add_descriptor(&text, fd);
    return SYS(NR_FSCONFIG, fs, SYS_FSCONFIG_SET_STRING, key, path, 0);
}

/* The layers of one mount. */
struct layers {
    const struct plan_op *op;
    const int *lower; /* the uppermost first */
    unsigned lowers;
    int upper, work;
};

/* One layer a call, from Linux 6.7 on. -EOPNOTSUPP: an older kernel takes one only. */
static int set_lowers(int fs, const struct layers *layers) {
    if (layers->lowers == 1) return set_layer(fs, "lowerdir", layers->lower[0]);
    for (unsigned i = 0; i < layers->lowers; i++) {
        int result = set_layer(fs, "lowerdir+", layers->lower[i]);
        if (result < 0) return i == 0 && result == -EINVAL ? -EOPNOTSUPP : result;
    }
    return 0;
}

static int mount_overlay(const struct layers *layers) {
    int result;
    OWNED_FD fs = SYS(NR_FSOPEN, "overlay", 1);
    if (fs < 0) return fs;
    SYS(NR_FSCONFIG, fs, SYS_FSCONFIG_SET_STRING, "source", "overlay", 0);
    if ((result = set_lowers(fs, layers)) < 0 || (result = set_layer(fs, "upperdir", layers->upper)) < 0) return result;
    if ((result = set_layer(fs, "workdir", layers->work)) < 0) return result;
    if ((layers->op->flags & PF_USERXATTR) != 0 && (result = SYS(NR_FSCONFIG, fs, SYS_FSCONFIG_SET_FLAG, "userxattr", NULL, 0)) < 0)
        return result;
    if ((result = SYS(NR_FSCONFIG, fs, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0)) < 0) return result;
    return SYS(NR_FSMOUNT, fs, 1, SYS_ATTR_NOSUID | SYS_ATTR_NODEV);
}

/* With mount(2), whose options have room for all layers, at a path of this mount namespace; then detached. */
static int mount_overlay_at(const struct layers *layers, const char *path) {
    static char options[4096]; /* PLAN_LOWERS_MAX of 20 bytes, and the rest */
    struct text text = TEXT(options);
    text_add(&text, "lowerdir=");
    for (unsigned i = 0; i < layers->lowers; i++) {
        if (i > 0) text_add(&text, ":");
        add_descriptor(&text, layers->lower[i]);
    }
    text_add(&text, ",upperdir=");
    add_descriptor(&text, layers->upper);
    text_add(&text, ",workdir=");
    add_descriptor(&text, layers->work);
    if ((layers->op->flags & PF_USERXATTR) != 0) text_add(&text, ",userxattr");
    int result = SYS(SYS_mount, "overlay", path, "overlay", MS_NOSUID | MS_NODEV, options);
    return result < 0 ? result : SYS(NR_OPEN_TREE, AT_FDCWD, path, SYS_OPEN_TREE_CLONE | O_CLOEXEC);
}

/* Upper and work directory below base. 0 or -errno. */
static int open_upper(struct layers *layers, int base) {
    layers->upper = SYS(SYS_openat, base, layers->op->string[0], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (layers->upper < 0) return layers->upper;
    layers->work = SYS(SYS_openat, base, layers->op->string[1], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (layers->work >= 0) return 0;
    sys_close(layers->upper);
    return layers->work;
}

/* In a mount namespace of its own: layers attached to its tree, where they can be seen by nobody else. The mount's fd or -errno. */
static int attach_and_mount(struct layers *layers, int base) {
    int result;
    OWNED_FD root = SYS(SYS_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (root < 0) return root;
    OWNED_FD dev = SYS(SYS_openat, root, "dev", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (dev < 0) return dev;
    if ((result = sys_mount_setattr(root, 0, MS_PRIVATE, 1)) < 0) return result;
    for (unsigned i = 0; i < layers->lowers; i++)
        if ((result = sys_move_mount(layers->lower[i], root)) < 0) return result;
    if ((result = sys_move_mount(base, dev)) < 0 || (result = open_upper(layers, base)) < 0) return result;
    result = mount_overlay(layers);
    if (result == -EOPNOTSUPP) result = mount_overlay_at(layers, "/dev");
    sys_close(layers->upper);
    sys_close(layers->work);
    return result;
}

/* Before 6.15 layers must be attached in the caller's mount namespace: so in a child's, made for this and gone with it. The overlay
 * keeps copies of its layers of its own, and the descriptor table is shared, so the mount that it makes is ours. base: a detached mount. */
static int mount_overlay_in_child(struct layers *layers, int base) {
    int pidfd, status = 0;
    int child = sys_clone(SYS_CLONE_NEWNS | SYS_CLONE_FILES, &pidfd);
    if (child == 0) {
        int mount = attach_and_mount(layers, base);
        /* The table of descriptors is the parent's: the mount goes where it is looked for, and nothing else stays. */
        int result = mount < 0 ? mount : SYS(SYS_dup3, mount, layers->lower[0], O_CLOEXEC);
        if (mount >= 0) sys_close(mount);
        sys_exit(result < 0 ? -result & 0xff : 0);
    }
    if (child < 0) return child;
    sys_close(pidfd);
    int result = SYS(SYS_wait4, child, &status, 0, NULL);
    if (result < 0) return result;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINVAL;
    return SYS(SYS_fcntl, layers->lower[0], F_DUPFD_CLOEXEC, 3);
}

static void close_all(const int *fds, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (fds[i] >= 0) sys_close(fds[i]);
}

int map_owners(const struct work *work, int tree, uint64_t attributes, unsigned recursive) {
    struct sys_mount_attr attr = {SYS_ATTR_IDMAP | attributes, 0, 0, (uint64_t)work->userns_fd};
    if (work->userns_fd < 0) return -EBADF;
    return SYS(NR_MOUNT_SETATTR, tree, "", SYS_EMPTY_PATH | (recursive ? SYS_RECURSIVE : 0), &attr, sizeof attr);
}

/* Detached copies of the lower layers, read-only; mapped: what root owns on the host, root owns inside. Needs a file system that can be
 * idmapped, and overlayfs on idmapped layers (5.19). 0 or -errno. */
static int clone_lowers(const struct work *work, int *trees, int mapped) {
    for (unsigned i = 0; i < work->lowers; i++) {
        const uint64_t attributes = SYS_ATTR_RDONLY | SYS_ATTR_NOSUID | SYS_ATTR_NODEV;
        trees[i] = sys_clone_tree(work->lower[i], 0);
        int result = trees[i] < 0 ? trees[i] : sys_mount_setattr(trees[i], attributes, MS_PRIVATE, 0);
        if (result == 0 && mapped) result = map_owners(work, trees[i], 0, 0);
        if (result < 0) {
            close_all(trees, i + 1);
            return result;
        }
    }
    return 0;
}

/* An overlay of copies of the layers. base: what holds upper and work directory, a detached mount if memory. */
static int mount_copies(const struct work *work, const struct plan_op *op, int base, int memory, int mapped) {
    int trees[PLAN_LOWERS_MAX];
    struct layers layers = {op, trees, work->lowers, -1, -1};
    int result = clone_lowers(work, trees, mapped);
    if (result < 0) return result;
    if ((result = open_upper(&layers, base)) == 0) {
        result = mount_overlay(&layers);
        sys_close(layers.upper);
        sys_close(layers.work);
    }
    if (result == -EINVAL || result == -EOPNOTSUPP) {
        OWNED_FD copy = memory ? -1 : sys_clone_tree(base, 0);
        result = !memory && copy < 0 ? copy : mount_overlay_in_child(&layers, memory ? base : copy);
    }
    close_all(trees, work->lowers);
    return result;
}

/* The usual way, with nothing to copy. */
static int mount_plainly(const struct work *work, const struct plan_op *op, int base) {
    struct layers layers = {op, work->lower, work->lowers, -1, -1};
    int result = open_upper(&layers, base);
    if (result < 0) return result;
    result = mount_overlay(&layers);
    sys_close(layers.upper);
    sys_close(layers.work);
    return result;
}

/* The upper layer in memory: a = bytes, b = inodes. A detached tmpfs with both directories, or -errno. */
static int make_memory(const struct plan_op *op) {
    OWNED_FD memory = make_tmpfs(op);
    if (memory < 0) return memory;
    for (int i = 0; i < 2; i++) {
        int result = SYS(SYS_mkdirat, memory, op->string[i], op->mode);
        if (result < 0) return result;
        if (op->uid != PLAN_NO_ID && (result = SYS(SYS_fchownat, memory, op->string[i], op->uid, op->gid, SYS_SYMLINK_NOFOLLOW)) < 0) return result;
    }
    int result = memory;
    memory = -1;
    return result;
}

static int mount_root(struct work *work, const struct plan_op *op, int base, int memory) {
    int mount = -1;
    if ((op->flags & PF_IDMAP) != 0 && work->userns_fd >= 0) {
        mount = mount_copies(work, op, base, memory, 1);
        if (mount < 0 && work->note != NULL)
            work->note(op, "owners are not mapped (this kernel or file system cannot): files of the host's root show as nobody's");
    }
    if (mount < 0) mount = mount_plainly(work, op, base);
    return mount == -EINVAL || mount == -EOPNOTSUPP ? mount_copies(work, op, base, memory, 0) : mount;
}

/* A plain user's overlay is made inside, where the state directory's descriptor is of another mount namespace, whose mounts can be no layers:
 * the same directory in this one. An O_PATH descriptor or -errno. */
static int state_here(const struct work *work) {
    char place[48] = "", path[4096];
    struct text text = TEXT(place);
    struct stat here, given;
    add_descriptor(&text, work->state_fd);
    int length = SYS(SYS_readlinkat, AT_FDCWD, place, path, sizeof path - 1);
    if (length < 0) return length;
    path[length] = 0;
    OWNED_FD directory = SYS(SYS_openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (directory < 0) return directory;
    int result = SYS(SYS_fstat, directory, &here);
    if (result == 0) result = SYS(SYS_fstat, work->state_fd, &given);
    if (result == 0 && (here.st_dev != given.st_dev || here.st_ino != given.st_ino)) result = -ESTALE;
    if (result < 0) return result;
    result = directory;
    directory = -1;
    return result;
}

int op_lower(struct work *work, const struct plan_op *op) {
    struct stat st;
    int result;
    if (work->lowers == PLAN_LOWERS_MAX) return -EFBIG;
    OWNED_FD lower = sys_openat2(AT_FDCWD, op->string[0], O_PATH | O_NOFOLLOW, 0, SYS_RESOLVE_NO_MAGICLINKS | SYS_RESOLVE_NO_SYMLINKS);
    if (lower < 0) return lower;
    if ((result = SYS(SYS_fstat, lower, &st)) < 0) return result;
    if (S_ISLNK(st.st_mode)) return -ELOOP;
    if (!S_ISDIR(st.st_mode)) return -ENOTDIR;
    work->lower[work->lowers++] = lower;
    lower = -1;
    return 0;
}

int op_overlay(struct work *work, const struct plan_op *op) {
    int in_memory = op->a > 0;
    if (work->lowers == 0 || !valid_name(op->string[0]) || !valid_name(op->string[1])) return -EINVAL;
    OWNED_FD base = in_memory ? make_memory(op) : (op->flags & PF_USERXATTR) != 0 ? state_here(work) : SYS(SYS_fcntl, work->state_fd, F_DUPFD_CLOEXEC, 3);
    if (base < 0) return base;
    int mount = mount_root(work, op, base, in_memory);
    close_all(work->lower, work->lowers);
    work->lowers = 0;
    if (mount < 0) return mount;
    close_now(&work->slot[op->slot]);
    work->slot[op->slot] = mount;
    return 0;
}
