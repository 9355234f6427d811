/* Operations that make mounts and put them in their place. */
#include "interpret.h"
#include "sys.h"
#include "target.h"
#include "text.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static uint64_t attributes(const struct plan_op *op) {
    return ((op->flags & PF_READONLY) != 0 ? SYS_ATTR_RDONLY : 0) | ((op->flags & PF_NOSUID) != 0 ? SYS_ATTR_NOSUID : 0) |
             ((op->flags & PF_NODEV) != 0 ? SYS_ATTR_NODEV : 0) | ((op->flags & PF_NOEXEC) != 0 ? SYS_ATTR_NOEXEC : 0);
}

static void set_slot(struct work *work, const struct plan_op *op, int *fd) {
    close_now(&work->slot[op->slot]);
    work->slot[op->slot] = *fd;
    *fd = -1;
}

/* The path on the host, without following a symlink at its end unless asked; none at all where it was judged beforehand (PF_PLAIN). */
static int open_host_path(const struct plan_op *op) {
    int flags = O_PATH | ((op->flags & PF_SYMLINKS) != 0 ? 0 : O_NOFOLLOW);
    return sys_openat2(AT_FDCWD, op->string[0], (uint64_t)flags, 0, SYS_RESOLVE_NO_MAGICLINKS | ((op->flags & PF_PLAIN) != 0 ? SYS_RESOLVE_NO_SYMLINKS : 0));
}

/* As stat(2) tells it; makedev(3) is a function in some libcs. */
static uint64_t device_number(uint64_t major, uint64_t minor) {
    return (major & 0xfff) << 8 | (minor & 0xff) | (major & ~0xfffull) << 32 | (minor & ~0xffull) << 12;
}

int op_tree(struct work *work, const struct plan_op *op) {
    unsigned recursive = (op->flags & PF_RECURSIVE) != 0;
    struct stat st;
    int result;
    OWNED_FD path = open_host_path(op);
    if (path == -ENOENT && (op->flags & PF_OPTIONAL) != 0) return 0;
    if (path < 0) return path;
    if ((result = SYS(SYS_fstat, path, &st)) < 0) return result;
    if (S_ISLNK(st.st_mode)) return -ELOOP;
    /* A sandbox's /dev must hold these very devices: a file of the name would be written to, or worse, read as random. */
    if ((op->flags & PF_DEVICE) != 0 && (!S_ISCHR(st.st_mode) || st.st_rdev != device_number(op->a, op->b)))
        return -ENODEV;
    /* No socket, whose other end is the host's, no pipe and no device. */
    if ((op->flags & PF_PLAIN) != 0 && !S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) return -EINVAL;
    OWNED_FD tree = sys_clone_tree(path, recursive);
    if (tree < 0) return tree;
    if ((result = sys_mount_setattr(tree, attributes(op), (op->flags & PF_SLAVE) != 0 ? MS_SLAVE : MS_PRIVATE, recursive)) < 0) return result;
    if ((op->flags & PF_IDMAP) != 0 && map_owners(work, tree, 0, recursive) < 0 && work->note != NULL)
        work->note(op, "owners are not mapped (this kernel or file system cannot): files of the host's root show as nobody's");
    set_slot(work, op, &tree);
    return 0;
}

int op_propagation(struct work *work, const struct plan_op *op) {
    (void)op;
    if (work->prepared) return 0;
    OWNED_FD root = SYS(SYS_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    return root < 0 ? root : sys_mount_setattr(root, 0, MS_PRIVATE, 1);
}

static int configure(int fs, const char *key, const char *value) {
    return SYS(NR_FSCONFIG, fs, SYS_FSCONFIG_SET_STRING, key, value, 0);
}

static int mount_of(int fs, uint64_t attrs) {
    int result = SYS(NR_FSCONFIG, fs, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0);
    return result < 0 ? result : SYS(NR_FSMOUNT, fs, 1 /* FSMOUNT_CLOEXEC */, attrs);
}

static int open_filesystem(const char *type) {
    int fs = SYS(NR_FSOPEN, type, 1 /* FSOPEN_CLOEXEC */);
    if (fs >= 0) configure(fs, "source", type); /* only what mountinfo shows */
    return fs;
}

int make_tmpfs(const struct plan_op *op) {
    char number[24] = "";
    struct text text = TEXT(number);
    int result;
    OWNED_FD fs = open_filesystem("tmpfs");
    if (fs < 0) return fs;
    text_number(&text, (int64_t)op->a);
    if ((result = configure(fs, "size", number)) < 0) return result;
    text = TEXT(number);
    text_number(&text, (int64_t)op->b);
    if ((result = configure(fs, "nr_inodes", number)) < 0) return result;
    text = TEXT(number);
    text_octal(&text, op->mode);
    if ((result = configure(fs, "mode", number)) < 0) return result;
    return mount_of(fs, attributes(op));
}

static int take_tmpfs(struct work *work, const struct plan_op *op) {
    if (work->made == NULL) return make_tmpfs(op);
    int *made = &work->made[op - work->plan->op], mount = *made;
    *made = -1;
    return mount;
}

int op_root(struct work *work, const struct plan_op *op) {
    OWNED_FD mount = op->slot >= 0 ? work_slot(work, op) : take_tmpfs(work, op);
    if (op->slot >= 0) work->slot[op->slot] = -1;
    if (mount < 0) return mount == -1 ? -EBADF : mount;
    /* On top of the old root: no mount point has to exist, and paths from / still name the host until pivot_root. */
    OWNED_FD base = SYS(SYS_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (base < 0) return base;
    int result = sys_move_mount(mount, base);
    if (result < 0) return result;
    target_forget(work);
    work->root_fd = mount;
    mount = -1;
    return 0;
}

/* Consumes mount. */
static int put(struct work *work, const struct plan_op *op, int mount, int directory) {
    OWNED_FD owned = mount;
    if (owned < 0) return owned;
    return target_attach(work, op, op->string[0], owned, directory);
}

int op_tmpfs(struct work *work, const struct plan_op *op) {
    return put(work, op, take_tmpfs(work, op), 1);
}

int op_attach(struct work *work, const struct plan_op *op) {
    int mount = work_slot(work, op);
    if (mount == -1) return (op->flags & PF_OPTIONAL) != 0 ? 0 : -EBADF;
    if (mount < 0) return mount;
    /* The slot stays: now attached, it can be cloned by mask. */
    return target_attach(work, op, op->string[0], mount, (op->flags & PF_CREATE_DIRECTORY) != 0);
}

int op_proc(struct work *work, const struct plan_op *op) {
    OWNED_FD fs = open_filesystem("proc");
    return fs < 0 ? fs : put(work, op, mount_of(fs, attributes(op)), 1);
}

int op_sysfs(struct work *work, const struct plan_op *op) {
    OWNED_FD fs = open_filesystem("sysfs");
    int mount = fs < 0 ? fs : mount_of(fs, attributes(op));
    /* The kernel gives a fresh one only to who sees a whole one: not where parts of the host's own are covered. */
    if (mount == -EPERM && (op->flags & PF_OPTIONAL) != 0) {
        if (work->note != NULL) work->note(op, "no /sys: this host's own is not whole");
        return 0;
    }
    return put(work, op, mount, 1);
}

int op_mqueue(struct work *work, const struct plan_op *op) {
    OWNED_FD fs = open_filesystem("mqueue");
    return fs < 0 ? fs : put(work, op, mount_of(fs, attributes(op)), 1);
}

int op_devpts(struct work *work, const struct plan_op *op) {
    char gid[24] = "";
    struct text text = TEXT(gid);
    int result;
    OWNED_FD fs = open_filesystem("devpts");
    if (fs < 0) return fs;
    if ((result = configure(fs, "ptmxmode", "0666")) < 0 || (result = configure(fs, "mode", "0620")) < 0) return result;
    if (op->gid != PLAN_NO_ID) {
        text_number(&text, op->gid);
        if ((result = configure(fs, "gid", gid)) < 0) return result;
    }
    return put(work, op, mount_of(fs, attributes(op)), 1);
}

/* A read-only empty tmpfs, made once; later masks are clones of it, which cost a third. */
static int mask_directory(struct work *work) {
    static const struct plan_op empty = {.flags = PF_READONLY | PF_NOSUID | PF_NODEV | PF_NOEXEC, .mode = 0555, .a = 4096, .b = 2};
    if (work->mask_fd < 0) return work->mask_fd = make_tmpfs(&empty);
    return sys_clone_tree(work->mask_fd, 0);
}

int op_mask(struct work *work, const struct plan_op *op) {
    struct stat st;
    int result;
    OWNED_FD target = target_open(work, op, op->string[0], 0);
    if (target < 0) return target == -ENOENT ? 0 : target;
    if ((result = SYS(SYS_fstat, target, &st)) < 0) return result;
    if (S_ISDIR(st.st_mode)) {
        int mount = mask_directory(work);
        if (mount < 0) return mount;
        target_forget(work);
        result = sys_move_mount(mount, target);
        if (mount != work->mask_fd) sys_close(mount);
        return result;
    }
    /* The host's /dev/null by descriptor, its device number checked: what the sandbox's /dev holds is not asked. */
    int device = work_slot(work, op);
    OWNED_FD null = device < 0 ? -EBADF : sys_clone_tree(device, 0);
    if (null < 0) return null;
    if ((result = sys_mount_setattr(null, SYS_ATTR_RDONLY | SYS_ATTR_NOSUID | SYS_ATTR_NOEXEC, 0, 0)) < 0) return result;
    return sys_move_mount(null, target);
}

int op_readonly(struct work *work, const struct plan_op *op) {
    int result;
    OWNED_FD target = target_open(work, op, op->string[0], 0);
    if (target < 0) return target == -ENOENT ? 0 : target;
    OWNED_FD tree = sys_clone_tree(target, 1);
    if (tree < 0) return tree;
    if ((result = sys_mount_setattr(tree, attributes(op) | SYS_ATTR_RDONLY, 0, 1)) < 0) return result;
    target_forget(work);
    return sys_move_mount(tree, target);
}

int op_remount_readonly(struct work *work, const struct plan_op *op) {
    OWNED_FD target = target_open(work, op, op->string[0], O_DIRECTORY);
    return target < 0 ? target : sys_mount_setattr(target, SYS_ATTR_RDONLY, 0, 0);
}

int op_pivot_root(struct work *work, const struct plan_op *op) {
    int result;
    (void)op;
    OWNED_FD old = SYS(SYS_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (old < 0) return old;
    if ((result = SYS(SYS_fchdir, work->root_fd)) < 0) return result;
    /* Both arguments ".": the old root ends up on top of the new one, and no directory is needed for it. */
    if ((result = SYS(SYS_pivot_root, ".", ".")) < 0) return result;
    if ((result = SYS(SYS_fchdir, old)) < 0) return result;
    if ((result = SYS(SYS_umount2, ".", MNT_DETACH)) < 0) return result;
    return SYS(SYS_chdir, "/");
}
