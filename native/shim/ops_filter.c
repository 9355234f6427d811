/* The operation `seccomp`: a program of classic BPF (seccomp(2)), which agent/sandbox/seccomp compiled. */
#include "filter.h"
#include "interpret.h"
#include "sys.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

static int is_program(const struct plan_op *op) {
    return op->length[1] > 0 && op->length[1] % sizeof(struct sock_filter) == 0 && op->length[1] / sizeof(struct sock_filter) <= BPF_MAXINSNS;
}

/* Only looked at here: it binds from right before the execve on, and what comes before that needs more than it allows. */
int op_seccomp(struct work *work, const struct plan_op *op) {
    uint32_t action = SECCOMP_RET_KILL_PROCESS; /* Linux 4.14; an older kernel would take it for another one */
    (void)work;
    if (!is_program(op)) return -EINVAL;
    return SYS(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
}

static int install(const struct plan_op *op) {
    static struct sock_filter program[BPF_MAXINSNS]; /* aligned, which the plan's bytes are not */
    struct sock_fprog filter = {(unsigned short)(op->length[1] / sizeof *program), program};
    memcpy(program, op->string[1], op->length[1]);
    return SYS(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}

int filter_install(const struct plan *plan, struct failure *failure) {
    for (unsigned i = 0; i < plan->ops; i++) {
        const struct plan_op *op = &plan->op[i];
        if (op->op != OP_SECCOMP) continue;
        int result = install(op);
        if (result < 0) return fail(failure, result, (int)i, plan_op_name(op->op), op->string[0]);
    }
    return 0;
}
