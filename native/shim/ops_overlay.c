/* A directory as a root: overlayfs over it, its changes in the placement's state directory. */
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

static int set_layer(int fs, const char *key, int fd) {
    /* By descriptor: no path to escape or race, none shown in mountinfo, and directories above may be 0700. */
    char path[48] = "/proc/self/fd/";
    struct text text = {path, sizeof path, 14};
    text_number(&text, fd);
    return SYS(NR_FSCONFIG, fs, SYS_FSCONFIG_SET_STRING, key, path, 0);
}

static int mount_overlay(const struct plan_op *op, int lower, int upper, int work) {
    int result;
    OWNED_FD fs = SYS(NR_FSOPEN, "overlay", 1);
    if (fs < 0) return fs;
    SYS(NR_FSCONFIG, fs, SYS_FSCONFIG_SET_STRING, "source", "overlay", 0);
    if ((result = set_layer(fs, "lowerdir", lower)) < 0 || (result = set_layer(fs, "upperdir", upper)) < 0) return result;
    if ((result = set_layer(fs, "workdir", work)) < 0) return result;
    if ((op->flags & PF_USERXATTR) != 0 && (result = SYS(NR_FSCONFIG, fs, SYS_FSCONFIG_SET_FLAG, "userxattr", NULL, 0)) < 0)
        return result;
    if ((result = SYS(NR_FSCONFIG, fs, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0)) < 0) return result;
    return SYS(NR_FSMOUNT, fs, 1, SYS_ATTR_NOSUID | SYS_ATTR_NODEV);
}

/* In a mount namespace of its own: layers attached to its tree, where they can be seen by nobody else. The mount's fd or -errno. */
static int attach_and_mount(const struct plan_op *op, int lower, int state) {
    int result;
    OWNED_FD root = SYS(SYS_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (root < 0) return root;
    OWNED_FD dev = SYS(SYS_openat, root, "dev", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (dev < 0) return dev;
    if ((result = sys_mount_setattr(root, 0, MS_PRIVATE, 1)) < 0) return result;
    if ((result = sys_move_mount(lower, root)) < 0 || (result = sys_move_mount(state, dev)) < 0) return result;
    OWNED_FD upper = SYS(SYS_openat, state, op->string[1], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (upper < 0) return upper;
    OWNED_FD work = SYS(SYS_openat, state, op->string[2], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    return work < 0 ? work : mount_overlay(op, lower, upper, work);
}

/* Before 6.15 layers must be attached in the caller's mount namespace: so in a child's, made for this and gone with it. The overlay
 * keeps copies of its layers of its own, and the descriptor table is shared, so the mount that it makes is ours. */
static int mount_overlay_in_child(const struct work *work, const struct plan_op *op, int lower) {
    int pidfd, status = 0;
    OWNED_FD state = sys_clone_tree(work->state_fd, 0);
    if (state < 0) return state;
    int child = sys_clone(SYS_CLONE_NEWNS | SYS_CLONE_FILES, &pidfd);
    if (child == 0) {
        int mount = attach_and_mount(op, lower, state);
        sys_exit(mount > 0 && mount <= 255 ? mount : 0); /* descriptors are few here, and 0 is the agent's */
    }
    if (child < 0) return child;
    sys_close(pidfd);
    int result = SYS(SYS_wait4, child, &status, 0, NULL);
    if (result < 0) return result;
    return WIFEXITED(status) && WEXITSTATUS(status) > 0 ? WEXITSTATUS(status) : -EINVAL;
}

/* The lower directory with its owners mapped into the sandbox: what root owns on the host, root owns inside. Needs a file
 * system that can be idmapped, and overlayfs on idmapped layers (5.19). */
static int mount_idmapped(const struct work *work, const struct plan_op *op, int lower, int upper, int state_work) {
    OWNED_FD tree = sys_clone_tree(lower, 0);
    if (tree < 0) return tree;
    struct sys_mount_attr attr = {SYS_ATTR_IDMAP | SYS_ATTR_RDONLY | SYS_ATTR_NOSUID | SYS_ATTR_NODEV, 0, MS_PRIVATE, (uint64_t)work->userns_fd};
    int result = SYS(NR_MOUNT_SETATTR, tree, "", SYS_EMPTY_PATH, &attr, sizeof attr);
    if (result < 0) return result;
    result = mount_overlay(op, tree, upper, state_work);
    return result == -EINVAL ? mount_overlay_in_child(work, op, tree) : result;
}

int op_overlay(struct work *work, const struct plan_op *op) {
    struct stat st;
    int result, mount = -1;
    if (!valid_name(op->string[1]) || !valid_name(op->string[2])) return -EINVAL;
    OWNED_FD lower = sys_openat2(AT_FDCWD, op->string[0], O_PATH | O_NOFOLLOW, 0, SYS_RESOLVE_NO_MAGICLINKS);
    if (lower < 0) return lower;
    if ((result = SYS(SYS_fstat, lower, &st)) < 0) return result;
    if (S_ISLNK(st.st_mode)) return -ELOOP;
    if (!S_ISDIR(st.st_mode)) return -ENOTDIR;
    OWNED_FD upper = SYS(SYS_openat, work->state_fd, op->string[1], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (upper < 0) return upper;
    OWNED_FD state_work = SYS(SYS_openat, work->state_fd, op->string[2], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (state_work < 0) return state_work;
    if ((op->flags & PF_IDMAP) != 0 && work->userns_fd >= 0) {
        mount = mount_idmapped(work, op, lower, upper, state_work);
        if (mount < 0 && work->note != NULL)
            work->note(op, "owners are not mapped (this kernel or file system cannot): files of the host's root show as nobody's");
    }
    if (mount < 0) mount = mount_overlay(op, lower, upper, state_work);
    if (mount < 0) return mount;
    close_now(&work->slot[op->slot]);
    work->slot[op->slot] = mount;
    return 0;
}
