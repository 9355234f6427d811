/* `shim ready`: waits, with everything made that needs no plan, until the agent gives one. Used once. */
#include "channel.h"
#include "load.h"
#include "prepare.h"
#include "run.h"
#include "signals.h"
#include "sys.h"
#include "text.h"

#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static const char wanted[] = "plan\n", start[] = "start\n";

#define AGENT(run) (&(run)->connection[CONNECTIONS_MAX])

/* Nobody wants it any more, or knows of it: nothing ran, so nothing of it was ever there. */
__attribute__((noreturn)) static void leave(struct run *run) {
    static const char *const made[] = {"shim.sock", "stdout.log", "stderr.log"};
    run_abandon(run);
    for (int i = 0; i < 3; i++) SYS(SYS_unlinkat, STATE_FD, made[i], 0);
    sys_exit(0);
}

static void tell_ready(struct run *run) {
    char line[32];
    struct text text = TEXT(line);
    text_add(&text, "ready ");
    text_number(&text, run->init_pid);
    text_add(&text, "\n");
    connection_send(AGENT(run), line);
}

/* 0: prepared; or -errno with run->failure filled: why it could not be. */
static int hear_prepared(struct run *run) {
    struct message message;
    int fds[PLAN_SLOTS_MAX], count, pid;
    int result = channel_receive(run->channel, &message, fds, &count, &pid, 0);
    if (result != 1) return fail(&run->failure, EPROTO, -1, "ready", "init died");
    for (int i = 0; i < count; i++) sys_close(fds[i]);
    if (message.type == MESSAGE_PREPARED) return 0;
    run->failure = message.failure;
    return message.type == MESSAGE_FAILED && message.failure.errnum > 0 ? -message.failure.errnum : fail(&run->failure, EPROTO, -1, "ready", "message");
}

/* `plan`, with the plan: it takes the place that `shim run` finds it in. */
static int hear_plan(struct run *run) {
    char line[sizeof wanted - 1];
    int fds[PLAN_SLOTS_MAX], count, result;
    char byte;
    int n = channel_receive_bytes(CONTROL_FD, line, sizeof line, fds, &count);
    if (n <= 0) leave(run);
    if (n != (int)sizeof line || memcmp(line, wanted, sizeof line) != 0 || count != 1) return fail(&run->failure, EPROTO, -1, "ready", "request");
    /* An agent that died since then cannot know of this, so its next life may make the sandbox once more: not twice. */
    if (SYS(SYS_recvfrom, CONTROL_FD, &byte, 1, MSG_PEEK | MSG_DONTWAIT, NULL, NULL) == 0) leave(run);
    result = SYS(SYS_dup3, fds[0], PLAN_FD, O_CLOEXEC);
    sys_close(fds[0]);
    return result < 0 ? fail(&run->failure, result, -1, "ready", "descriptor") : 0;
}

/* The namespaces are as they are, and some things cannot be undone: a plan that wants it otherwise must start afresh. */
static int check_fit(const struct run *run, struct failure *failure) {
    const struct plan *plan = run->plan, *first = run->first;
    int loopback = 0, capabilities = 0;
    if (plan->namespaces != first->namespaces || plan->joins > 0) return fail(failure, EINVAL, -1, "ready", "namespaces");
    if (plan_find(plan, OP_TIME_OFFSETS) != NULL) return fail(failure, EINVAL, -1, "ready", "time_offsets");
    for (unsigned i = 0; i < plan->ops; i++) {
        const struct plan_op *op = &plan->op[i];
        if (op->op == OP_LOOPBACK_UP) loopback = 1;
        if (op->op == OP_DROP_CAPABILITIES) capabilities = op->a == 0;
        if (op->side == PLAN_INNER && (op->op == OP_TREE || op->op == OP_LOWER || op->op == OP_OVERLAY || op->op == OP_STATE_MKDIR))
            return fail(failure, EINVAL, (int)i, plan_op_name(op->op), "not in a ready sandbox");
    }
    for (unsigned i = 0; i < first->ops; i++) {
        if (first->op[i].op != OP_SYSCTL) continue;
        unsigned j = 0;
        while (j < plan->ops && !prepare_same(&plan->op[j], &first->op[i])) j++;
        if (j == plan->ops) return fail(failure, EINVAL, -1, "ready", first->op[i].string[0]);
    }
    if (!capabilities) return fail(failure, EINVAL, -1, "ready", "capabilities are dropped");
    return loopback ? 0 : fail(failure, EINVAL, -1, "ready", "lo is up");
}

void ready_no_more(struct run *run, const char *name) {
    memcpy(run->mode, "run\0", sizeof "run\0"); /* as long as "ready" */
    SYS(SYS_prctl, PR_SET_NAME, name, 0, 0, 0);
}

int ready_await(struct run *run) {
    struct message message;
    int prepared = 0, result;
    SYS(SYS_prctl, PR_SET_NAME, "nsfleet-ready", 0, 0, 0);
    for (;;) {
        struct pollfd polled[] = {{CONTROL_FD, POLLIN, 0}, {prepared ? -1 : run->channel, POLLIN, 0}, {run->init_pidfd, POLLIN, 0}};
        /* Before it is prepared a plan waits; only the agent's end is heard. */
        if (!prepared) polled[0].events = 0;
        if (signals_poll(polled, sizeof polled / sizeof *polled) < 0) {
            if (signals_terminated) leave(run);
            continue;
        }
        if (polled[1].revents != 0) {
            if ((result = hear_prepared(run)) < 0) return result;
            prepared = 1;
            for (unsigned i = 0; i < PLAN_SLOTS_MAX; i++) close_now(&run->slot[i]);
            if ((result = run_open_logs(run)) < 0 || (result = run_listen(run)) < 0) return result;
            tell_ready(run);
        } else if (polled[0].revents != 0) {
            if (!prepared) leave(run);
            break;
        } else if (polled[2].revents != 0) {
            return fail(&run->failure, EPROTO, -1, "ready", "init died");
        }
    }
    if ((result = hear_plan(run)) < 0) return result;
    /* The agent, where it waits too long, goes by the name: nothing is done for a plan under the old one. */
    ready_no_more(run, "nsfleet-shim");
    memset(&message, 0, sizeof message);
    message.type = MESSAGE_PLAN;
    result = PLAN_FD;
    if ((result = channel_send(run->channel, &message, &result, 1)) < 0) return fail(&run->failure, result, -1, "ready", "hand_over");
    if ((result = load_plan(run->plan, PLAN_RUN, &run->failure)) < 0) return result;
    return check_fit(run, &run->failure);
}

int ready_await_start(struct run *run) {
    char line[sizeof start - 1];
    int n;
    /* Mostly it has come already. */
    while ((n = SYS(SYS_recvfrom, CONTROL_FD, line, sizeof line, MSG_DONTWAIT, NULL, NULL)) == -EAGAIN) {
        struct pollfd polled[] = {{CONTROL_FD, POLLIN, 0}, {run->init_pidfd, POLLIN, 0}};
        if (signals_poll(polled, 2) < 0 && signals_terminated) leave(run);
        if (polled[1].revents != 0) return 0; /* it has said why */
    }
    if (n <= 0) leave(run);
    return n == (int)sizeof line && memcmp(line, start, sizeof line) == 0 ? 0 : fail(&run->failure, EPROTO, -1, "ready", "request");
}
