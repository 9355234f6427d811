/* Clocks of the sandbox's own: time_namespaces(7). */
#include "interpret.h"
#include "sys.h"
#include "text.h"

#include <sys/prctl.h>

/* The offsets can be written until a first process is in the namespace, so this process makes it for its children, writes, and only then goes in. */
int op_time_offsets(struct work *work, const struct plan_op *op) {
    char path[64];
    struct text text = TEXT(path);
    int result = SYS(SYS_unshare, SYS_CLONE_NEWTIME);
    if (result < 0) return result;
    text_add(&text, "/proc/");
    text_number(&text, SYS(SYS_getpid));
    /* The sandbox's own fresh procfs; where a mount namespace was joined, that one's. */
    OWNED_FD self = work->root_fd >= 0
                        ? sys_openat2(work->root_fd, path, O_PATH | O_DIRECTORY, 0, SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_SYMLINKS)
                        : sys_openat2(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0, SYS_RESOLVE_NO_SYMLINKS);
    if (self < 0) return self;
    /* The files of who is not dumpable belong to the host's root: proc_pid(5). In a pid namespace of its own nobody else sees this process yet. */
    int dumpable = SYS(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0);
    if ((work->plan->namespaces & SYS_CLONE_NEWPID) != 0) SYS(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
    OWNED_FD offsets = SYS(SYS_openat, self, "timens_offsets", O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0);
    if ((result = SYS(SYS_prctl, PR_SET_DUMPABLE, dumpable == 1, 0, 0, 0)) < 0) return result;
    if (offsets < 0) return offsets;
    if ((result = SYS(SYS_write, offsets, op->string[0], (size_t)op->length[0])) < 0) return result;
    OWNED_FD made = SYS(SYS_openat, self, "ns/time_for_children", O_RDONLY | O_CLOEXEC, 0);
    return made < 0 ? made : SYS(SYS_setns, made, SYS_CLONE_NEWTIME);
}
