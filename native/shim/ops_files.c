/* Operations that make directories, links and files inside the new root. Modes are as given: the umask is 0 until the plan's umask. */
#include "interpret.h"
#include "sys.h"
#include "target.h"


int op_mkdir(struct work *work, const struct plan_op *op) {
    const char *name;
    int result;
    int parent = target_parent(work, op, op->string[0], &name);
    if (parent < 0) return parent;
    if ((result = SYS(SYS_mkdirat, parent, name, op->mode)) < 0) {
        /* What is there already must be a directory itself: a symlink named /proc or /dev would lead later mounts astray. */
        OWNED_FD there = result == -EEXIST ? target_open(work, op, op->string[0], O_DIRECTORY) : result;
        return there < 0 ? there : 0;
    }
    return 0;
}

int op_symlink(struct work *work, const struct plan_op *op) {
    const char *name;
    int parent = target_parent(work, op, op->string[0], &name);
    return parent < 0 ? parent : SYS(SYS_symlinkat, op->string[1], parent, name);
}

int op_file(struct work *work, const struct plan_op *op) {
    const char *name;
    int parent = target_parent(work, op, op->string[0], &name);
    if (parent < 0) return parent;
    if ((op->flags & PF_REPLACE) != 0) {
        int result = SYS(SYS_unlinkat, parent, name, 0);
        if (result < 0 && result != -ENOENT) return result;
    }
    OWNED_FD file = SYS(SYS_openat, parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, op->mode);
    if (file < 0) return file;
    for (uint32_t done = 0; done < op->length[1];) {
        int n = SYS(SYS_write, file, op->string[1] + done, op->length[1] - done);
        if (n < 0) return n;
        done += (uint32_t)n;
    }
    return 0;
}
