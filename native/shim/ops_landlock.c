/* The operations `landlock…`: a ruleset is made, filled, and bound to this process and all that come from it (landlock(7)). Numbers, not headers:
 * those of the oldest supported build know nothing of it. */
#include "interpret.h"
#include "sys.h"

#include <sys/stat.h>

enum { NR_CREATE_RULESET = 444, NR_ADD_RULE = 445, NR_RESTRICT_SELF = 446 };
enum { RULESET_VERSION = 1, RULE_PATH = 1, RULE_PORT = 2 };

/* Of files: what each version of the interface added to what can be asked for. */
#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_TRUNCATE (1ull << 14)
#define FS_IOCTL_DEV (1ull << 15)
#define FS_FIRST ((1ull << 13) - 1)
#define FS_REFER (1ull << 13)
#define FS_OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define FS_READ (FS_EXECUTE | FS_READ_FILE | FS_READ_DIR)

struct ruleset {
    uint64_t fs, net, scoped;
};
struct path_rule {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));
struct port_rule {
    uint64_t allowed, port;
};

/* What of the file system can be restricted. Before version 3 a file that may only be read could yet be truncated. */
static uint64_t fs_rights(int version) {
    return FS_FIRST | FS_REFER | FS_TRUNCATE | (version >= 5 ? FS_IOCTL_DEV : 0);
}

static int version_for(const struct plan_op *op) {
    if ((op->flags & (PF_ABSTRACT | PF_SIGNALS)) != 0) return 6;
    if ((op->flags & (PF_BIND | PF_CONNECT)) != 0) return 4;
    return 3;
}

int op_landlock(struct work *work, const struct plan_op *op) {
    struct ruleset ruleset = {0, 0, 0};
    int version = SYS(NR_CREATE_RULESET, NULL, 0, RULESET_VERSION);
    if (work->ruleset_fd >= 0) return -EINVAL;
    if (version < version_for(op)) {
        if ((op->flags & PF_OPTIONAL) == 0) return -EOPNOTSUPP;
        if (work->note != NULL) work->note(op, "the kernel cannot scope abstract sockets and signals");
        return 0;
    }
    if ((op->flags & PF_PATHS) != 0) ruleset.fs = fs_rights(version);
    ruleset.net = ((op->flags & PF_BIND) != 0 ? 1u : 0) | ((op->flags & PF_CONNECT) != 0 ? 2u : 0);
    ruleset.scoped = ((op->flags & PF_ABSTRACT) != 0 ? 1u : 0) | ((op->flags & PF_SIGNALS) != 0 ? 2u : 0);
    /* An older kernel takes the longer structure where what it does not know is zero. */
    work->ruleset_fd = SYS(NR_CREATE_RULESET, &ruleset, sizeof ruleset, 0);
    work->ruleset_fs = ruleset.fs;
    return work->ruleset_fd < 0 ? work->ruleset_fd : 0;
}

/* By no symlink: what runs inside could have put it there for the next process that enters. */
int op_landlock_path(struct work *work, const struct plan_op *op) {
    OWNED_FD root = SYS(SYS_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (root < 0) return root;
    OWNED_FD fd = sys_openat2(root, op->string[0], O_PATH, 0, SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_SYMLINKS | SYS_RESOLVE_NO_MAGICLINKS);
    struct stat st;
    struct path_rule rule = {(op->flags & PF_READONLY) != 0 ? FS_READ : work->ruleset_fs, fd};
    int result;
    if (fd == -ENOENT && (op->flags & PF_OPTIONAL) != 0) return 0;
    if (fd < 0) return fd;
    if ((result = SYS(SYS_fstat, fd, &st)) < 0) return result;
    if (!S_ISDIR(st.st_mode)) rule.allowed &= FS_OF_FILES;
    return SYS(NR_ADD_RULE, work->ruleset_fd, RULE_PATH, &rule, 0);
}

int op_landlock_port(struct work *work, const struct plan_op *op) {
    struct port_rule rule = {((op->flags & PF_BIND) != 0 ? 1u : 0) | ((op->flags & PF_CONNECT) != 0 ? 2u : 0), op->a};
    return SYS(NR_ADD_RULE, work->ruleset_fd, RULE_PORT, &rule, 0);
}

int op_landlock_restrict(struct work *work, const struct plan_op *op) {
    (void)op;
    if (work->ruleset_fd < 0) return 0; /* an optional one that the kernel does not have */
    int result = SYS(NR_RESTRICT_SELF, work->ruleset_fd, 0);
    close_now(&work->ruleset_fd);
    return result;
}
