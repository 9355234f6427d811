#include "interpret.h"

#include <errno.h>
#include <stddef.h>

/* A switch, not a table: pointers in a table are what a position-independent program has to relocate at every start. */
static int execute(struct work *work, const struct plan_op *op) {
    switch (op->op) {
        case OP_TREE: return op_tree(work, op);
        case OP_OVERLAY: return op_overlay(work, op);
        case OP_STATE_MKDIR: return op_state_mkdir(work, op);
        case OP_PROPAGATION: return op_propagation(work, op);
        case OP_ROOT: return op_root(work, op);
        case OP_TMPFS: return op_tmpfs(work, op);
        case OP_ATTACH: return op_attach(work, op);
        case OP_PROC: return op_proc(work, op);
        case OP_DEVPTS: return op_devpts(work, op);
        case OP_MQUEUE: return op_mqueue(work, op);
        case OP_MKDIR: return op_mkdir(work, op);
        case OP_SYMLINK: return op_symlink(work, op);
        case OP_FILE: return op_file(work, op);
        case OP_MASK: return op_mask(work, op);
        case OP_READONLY: return op_readonly(work, op);
        case OP_PIVOT_ROOT: return op_pivot_root(work, op);
        case OP_REMOUNT_READONLY: return op_remount_readonly(work, op);
        case OP_HOSTNAME: return op_hostname(work, op);
        case OP_DOMAINNAME: return op_domainname(work, op);
        case OP_LOOPBACK_UP: return op_loopback_up(work, op);
        case OP_UNSHARE: return op_unshare(work, op);
        case OP_SYSCTL: return op_sysctl(work, op);
        case OP_DUMPABLE: return op_dumpable(work, op);
        case OP_NO_NEW_PRIVS: return op_no_new_privs(work, op);
        case OP_DROP_CAPABILITIES: return op_drop_capabilities(work, op);
        case OP_SESSION_KEYRING: return op_session_keyring(work, op);
        case OP_RLIMIT: return 0; /* set_limits: PID 1 and what it still has to do must not be bound by them */
        case OP_LIFETIME: return 0; /* life.c: it counts from the moment in which the command runs */
        case OP_UMASK: return op_umask(work, op);
        case OP_TIME_OFFSETS: return op_time_offsets(work, op);
        case OP_LANDLOCK: return op_landlock(work, op);
        case OP_LANDLOCK_PATH: return op_landlock_path(work, op);
        case OP_LANDLOCK_PORT: return op_landlock_port(work, op);
        case OP_LANDLOCK_RESTRICT: return op_landlock_restrict(work, op);
        case OP_SECCOMP:
        case OP_SECCOMP_LOG: return op_seccomp(work, op);
        case OP_LOWER: return op_lower(work, op);
        case OP_SYSFS: return op_sysfs(work, op);
        case OP_RAISE_RLIMIT: return op_raise_rlimit(work, op);
        case OP_NICE: return op_nice(work, op);
        case OP_OOM_SCORE_ADJ: return op_oom_score_adj(work, op);
        case OP_USER: return op_user(work, op);
        case OP_GROUP: return op_group(work, op);
    }
    return -EBADMSG;
}

void work_init(struct work *work, const struct plan *plan) {
    work->plan = plan;
    work->state_fd = work->userns_fd = work->root_fd = work->mask_fd = work->parent_fd = work->ruleset_fd = work->calls_channel = -1;
    work->made = NULL;
    work->prepared = 0;
    work->lowers = 0;
    work->note = NULL;
    work->fetch_slots = NULL;
    for (unsigned i = 0; i < PLAN_SLOTS_MAX; i++) work->slot[i] = -1;
    for (unsigned i = 0; i < STREAMS; i++) work->stream[i] = -1;
    work->target_pid = 0;
    work->capabilities = 0;
    work->words[0] = 0;
    person_init(&work->person, plan);
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
        if (op->side != side || op->done) continue;
        int result = execute(work, op);
        if (result < 0) return fail(failure, result, (int)i, plan_op_name(op->op), work->words[0] != 0 ? work->words : op->strings > 0 ? op->string[0] : "-");
    }
    return 0;
}
