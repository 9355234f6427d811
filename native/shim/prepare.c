#include "prepare.h"

#include "caps.h"
#include "sys.h"
#include "target.h"

#include <string.h>

static int wants_tmpfs(const struct plan_op *op) {
    return op->op == OP_TMPFS || (op->op == OP_ROOT && op->slot < 0);
}

/* Something is mounted there, so what was made is not to be seen. */
static int is_covered(const struct plan *first, const char *path) {
    for (unsigned i = 0; i < first->ops; i++) {
        const struct plan_op *op = &first->op[i];
        int mounts = op->op == OP_TMPFS || op->op == OP_PROC || op->op == OP_SYSFS || op->op == OP_DEVPTS || op->op == OP_MQUEUE || op->op == OP_ATTACH;
        if (mounts && strcmp(op->string[0], path) == 0) return 1;
    }
    return 0;
}

int prepare_outer(struct run *run) {
    struct work work;
    struct plan *first = run->first;
    work_init(&work, first);
    int result = interpret(&work, PLAN_HOST, &run->failure);
    if (result < 0) return result;
    memcpy(run->slot, work.slot, sizeof run->slot);
    for (unsigned i = 0; i < first->ops; i++) {
        struct plan_op *op = &first->op[i];
        if ((op->op == OP_MKDIR || op->op == OP_SYMLINK || op->op == OP_FILE) && !is_covered(first, op->string[0])) run->given[i] = 1;
        if (wants_tmpfs(op) && (run->made[i] = make_tmpfs(op)) < 0) return fail(&run->failure, run->made[i], (int)i, plan_op_name(op->op), "-");
    }
    return 0;
}

int prepare_inner(struct run *run, struct work *work, struct failure *failure) {
    int result;
    work_init(work, run->first);
    work->made = run->made;
    memcpy(work->slot, run->slot, sizeof work->slot);
    if ((result = interpret(work, PLAN_INNER, failure)) < 0) return result;
    if ((result = caps_forbid(0)) < 0) return fail(failure, result, -1, "ready", "capabilities");
    for (unsigned i = 0; i < PLAN_SLOTS_MAX; i++) close_now(&work->slot[i]);
    work->made = NULL;
    return 0;
}

int prepare_same(const struct plan_op *a, const struct plan_op *b) {
    if (a->op != b->op || a->side != b->side || a->flags != b->flags || a->slot != b->slot || a->mode != b->mode) return 0;
    if (a->uid != b->uid || a->gid != b->gid || a->a != b->a || a->b != b->b || a->strings != b->strings) return 0;
    for (unsigned i = 0; i < a->strings; i++)
        if (a->length[i] != b->length[i] || memcmp(a->string[i], b->string[i], a->length[i]) != 0) return 0;
    return 1;
}

int prepare_match(struct plan *plan, const struct plan *first) {
    unsigned matched = 0;
    for (unsigned i = 0; i < plan->ops && matched < first->ops; i++)
        if (prepare_same(&plan->op[i], &first->op[matched])) matched++;
    if (matched < first->ops) return 0;
    matched = 0;
    for (unsigned i = 0; i < plan->ops && matched < first->ops; i++)
        if (prepare_same(&plan->op[i], &first->op[matched])) matched++, plan->op[i].done = 1;
    return 1;
}

void prepare_continue(struct run *run, struct work *work) {
    if (prepare_match(run->plan, run->first)) {
        work->plan = run->plan;
        person_init(&work->person, run->plan);
    } else {
        close_now(&work->root_fd);
        close_now(&work->mask_fd);
        target_forget(work);
        work_init(work, run->plan);
    }
    work->prepared = 1;
}

int prepare_give_away(struct run *run) {
    const struct plan *plan = run->plan, *first = run->first;
    uint32_t uid = plan_outside_id(plan->uid_map, plan->uid_maps, 0), gid = plan_outside_id(plan->gid_map, plan->gid_maps, 0);
    int root = -1, result = 0;
    for (unsigned i = 0; i < first->ops && result >= 0; i++) {
        const struct plan_op *op = &first->op[i];
        if (op->op == OP_ROOT) root = run->made[i];
        if (wants_tmpfs(op)) result = SYS(SYS_fchownat, run->made[i], "", uid, gid, SYS_EMPTY_PATH);
        /* Below the root are only mounts of ours, and the inner half waits: every name means what it meant when it was made. */
        else if (run->given[i]) result = SYS(SYS_fchownat, root, op->string[0] + 1, uid, gid, SYS_SYMLINK_NOFOLLOW);
        if (result < 0) fail(&run->failure, result, -1, "ready", plan_op_name(op->op));
    }
    return result;
}

void prepare_close(struct run *run) {
    for (unsigned i = 0; i < PLAN_OPS_MAX; i++) close_now(&run->made[i]);
    for (unsigned i = 0; i < PLAN_SLOTS_MAX; i++) close_now(&run->slot[i]);
}
