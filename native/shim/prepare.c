/* The inner half of a ready shim, before its plan: all that does not depend on one. No id is mapped yet, so nothing is made that would
 * have an owner but the root, which the outer half gives away later. */
#include "prepare.h"

#include "caps.h"
#include "sys.h"

/* The plan sets what it wants of these. */
static const struct plan_op root = {.flags = PF_NOSUID | PF_NODEV, .mode = 0755, .a = 1 << 20, .b = 64};
static const struct plan_op proc = {.flags = PF_NOSUID | PF_NODEV | PF_NOEXEC};

int prepare(struct work *work, struct failure *failure) {
    int result;
    if ((result = make_all_private()) < 0) return fail(failure, result, -1, "ready", "propagation");
    /* The kernel gives a fresh procfs only to who sees a whole one: while the host's is still there. */
    if ((work->proc_fd = make_proc(&proc)) < 0) return fail(failure, work->proc_fd, -1, "ready", "proc");
    /* The copies of the host's mounts must not wait here: they would keep each of them busy after it was unmounted there. */
    if ((work->base_fd = make_tmpfs(&root)) < 0) return fail(failure, work->base_fd, -1, "ready", "root");
    if ((result = put_over_root(work->base_fd)) < 0 || (result = replace_root(work->base_fd)) < 0)
        return fail(failure, result, -1, "ready", "pivot_root");
    if ((result = loopback_up()) < 0) return fail(failure, result, -1, "ready", "lo");
    if ((result = caps_forbid()) < 0) return fail(failure, result, -1, "ready", "capabilities");
    work->prepared = 1;
    return 0;
}
