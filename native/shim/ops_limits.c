/* What the command may use. What needs the host's privilege is done to the process that it will come from, before it does. */
#include "interpret.h"
#include "proc_write.h"
#include "sys.h"
#include "text.h"

#include <sys/resource.h>

int op_raise_rlimit(struct work *work, const struct plan_op *op) {
    struct rlimit limit;
    int result = SYS(SYS_prlimit64, work->target_pid, (int)op->mode, NULL, &limit);
    if (result < 0 || limit.rlim_max >= op->b) return result;
    limit.rlim_max = op->b;
    return SYS(SYS_prlimit64, work->target_pid, (int)op->mode, &limit, NULL);
}

int op_nice(struct work *work, const struct plan_op *op) {
    return SYS(SYS_setpriority, PRIO_PROCESS, work->target_pid, (int)op->a);
}

int op_oom_score_adj(struct work *work, const struct plan_op *op) {
    char content[16];
    struct text text = TEXT(content);
    text_number(&text, (int64_t)op->a);
    return proc_write(work->target_pid, "oom_score_adj", content);
}

/* The smaller of the two where that will do, else what was asked for, or the kernel's refusal. */
static int set_limit(const struct plan_op *op) {
    struct rlimit limit;
    int result = SYS(SYS_prlimit64, 0, (int)op->mode, NULL, &limit), clamp = (op->flags & PF_OPTIONAL) != 0;
    if (result < 0) return result;
    if (op->b != PLAN_AS_IT_IS && (!clamp || op->b < limit.rlim_max)) limit.rlim_max = op->b;
    limit.rlim_cur = clamp && op->a > limit.rlim_max ? limit.rlim_max : op->a;
    return SYS(SYS_prlimit64, 0, (int)op->mode, &limit, NULL);
}

int set_limits(const struct plan *plan, struct failure *failure) {
    for (unsigned i = 0; i < plan->ops; i++) {
        char number[8];
        struct text text = TEXT(number);
        int result = plan->op[i].op == OP_RLIMIT ? set_limit(&plan->op[i]) : 0;
        if (result == 0) continue;
        text_number(&text, plan->op[i].mode);
        return fail(failure, result, (int)i, plan_op_name(OP_RLIMIT), number);
    }
    return 0;
}
