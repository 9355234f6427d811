#include "interpret.h"

#include <errno.h>
#include <stddef.h>

static int (*const executors[OP_COUNT])(struct work *, const struct plan_op *) = {
        [OP_TREE] = op_tree,
        [OP_OVERLAY] = op_overlay,
        [OP_STATE_MKDIR] = op_state_mkdir,
        [OP_PROPAGATION] = op_propagation,
        [OP_ROOT] = op_root,
        [OP_TMPFS] = op_tmpfs,
        [OP_ATTACH] = op_attach,
        [OP_PROC] = op_proc,
        [OP_DEVPTS] = op_devpts,
        [OP_MQUEUE] = op_mqueue,
        [OP_MKDIR] = op_mkdir,
        [OP_SYMLINK] = op_symlink,
        [OP_FILE] = op_file,
        [OP_MASK] = op_mask,
        [OP_READONLY] = op_readonly,
        [OP_PIVOT_ROOT] = op_pivot_root,
        [OP_REMOUNT_READONLY] = op_remount_readonly,
        [OP_HOSTNAME] = op_hostname,
        [OP_DOMAINNAME] = op_domainname,
        [OP_LOOPBACK_UP] = op_loopback_up,
        [OP_UNSHARE] = op_unshare,
        [OP_SYSCTL] = op_sysctl,
        [OP_DUMPABLE] = op_dumpable,
        [OP_NO_NEW_PRIVS] = op_no_new_privs,
        [OP_DROP_CAPABILITIES] = op_drop_capabilities,
        [OP_SESSION_KEYRING] = op_session_keyring,
        [OP_RLIMIT] = op_rlimit,
        [OP_UMASK] = op_umask,
};

void work_init(struct work *work, const struct plan *plan) {
    work->plan = plan;
    work->state_fd = work->userns_fd = work->root_fd = work->mask_fd = -1;
    work->note = NULL;
    work->fetch_slots = NULL;
    for (unsigned i = 0; i < PLAN_SLOTS_MAX; i++) work->slot[i] = -1;
}

int work_slot(struct work *work, const struct plan_op *op) {
    if (work->fetch_slots != NULL) {
        int result = work->fetch_slots(work);
        if (result < 0) return result;
        work->fetch_slots = NULL;
    }
    return work->slot[op->slot];
}

int interpret(struct work *work, enum plan_side side, struct failure *failure) {
    for (unsigned i = 0; i < work->plan->ops; i++) {
        const struct plan_op *op = &work->plan->op[i];
        if (op->side != side) continue;
        int result = executors[op->op](work, op);
        if (result < 0) return fail(failure, result, (int)i, plan_op_name(op->op), op->strings > 0 ? op->string[0] : "-");
    }
    return 0;
}
