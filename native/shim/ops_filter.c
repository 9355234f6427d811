/* The operations `seccomp` and `seccomp_log`: a program of classic BPF (seccomp(2)), which agent/sandbox/seccomp compiled. */
#include "channel.h"
#include "filter.h"
#include "interpret.h"
#include "sys.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

enum { NEW_LISTENER = 1 << 3, WAIT_KILLABLE = 1 << 5 };

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

static int install(const struct plan_op *op, unsigned flags) {
    static struct sock_filter program[BPF_MAXINSNS]; /* aligned, which the plan's bytes are not */
    struct sock_fprog filter = {(unsigned short)(op->length[1] / sizeof *program), program};
    memcpy(program, op->string[1], op->length[1]);
    return SYS(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
}

/* From the install on every call waits for who hears of it, but for a send by a channel. */
static int install_log(const struct plan_op *op, int channel) {
    struct message message;
    memset(&message, 0, sizeof message);
    message.type = MESSAGE_CALLS;
    /* Linux 5.19: a call that is being looked at is not begun anew for every signal that its process handles. */
    int listener = install(op, NEW_LISTENER | WAIT_KILLABLE);
    if (listener == -EINVAL) listener = install(op, NEW_LISTENER);
    return listener < 0 ? listener : channel_send(channel, &message, &listener, 1);
}

int filter_install(const struct plan *plan, int channel, struct failure *failure) {
    for (unsigned i = 0; i < plan->ops; i++) {
        const struct plan_op *op = &plan->op[i];
        int result = 0;
        if (op->op == OP_SECCOMP) result = install(op, 0);
        if (op->op == OP_SECCOMP_LOG && channel >= 0) result = install_log(op, channel);
        if (result < 0) return fail(failure, result, (int)i, plan_op_name(op->op), op->string[0]);
    }
    return 0;
}
