/* The inner half: born in the new namespaces, it makes the sandbox from within, starts the command and stays as PID 1. */
#include "caps.h"
#include "channel.h"
#include "exec.h"
#include "filter.h"
#include "interpret.h"
#include "load.h"
#include "prepare.h"
#include "remains.h"
#include "run.h"
#include "signals.h"
#include "sys.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { INIT_CHANNEL_FD = 3, INIT_REPORT_FD = 4, LIFTED_FD = 512 };

static int inner_channel;

__attribute__((noreturn)) static void give_up(int channel, const struct failure *failure) {
    struct message message;
    memset(&message, 0, sizeof message);
    message.type = MESSAGE_FAILED;
    message.failure = *failure;
    channel_send(channel, &message, NULL, 0);
    sys_exit(1);
}

static void note(const struct plan_op *op, const char *words) {
    struct message message;
    memset(&message, 0, sizeof message);
    message.type = MESSAGE_NOTE;
    fail(&message.failure, 0, 0, plan_op_name(op->op), words);
    channel_send(inner_channel, &message, NULL, 0);
}

/* Waits for what the host's operations made. If they failed, the outer half kills this process instead. */
static int fetch_slots(struct work *work) {
    struct message message;
    int fds[PLAN_SLOTS_MAX], count, pid;
    if (channel_receive(inner_channel, &message, fds, &count, &pid, 0) != 1) sys_exit(1);
    if (message.type != MESSAGE_SLOTS || count != message.slots) return -EPROTO;
    for (int i = 0; i < count; i++) work->slot[message.slot[i]] = fds[i];
    return 0;
}

/* Without its supervisor a sandbox would run unseen. */
static int die_with_outer(int channel, struct failure *failure) {
    char byte;
    int result = SYS(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (result < 0) return fail(failure, result, -1, "death_signal", "-");
    if (SYS(SYS_recvfrom, channel, &byte, 1, MSG_PEEK | MSG_DONTWAIT, NULL, NULL) == 0) sys_exit(1);
    return 0;
}

/* Ready: does what needs no plan, tells, and waits for one. */
static int await_plan(struct work *work, struct run *run, int channel, struct failure *failure) {
    struct message message;
    int fds[PLAN_SLOTS_MAX], count, pid, result;

    SYS(SYS_prctl, PR_SET_NAME, "nsfleet-ready", 0, 0, 0);
    if (die_with_outer(channel, failure) < 0) return -1;
    if ((result = prepare_inner(run, work, failure)) < 0) return result;
    memset(&message, 0, sizeof message);
    message.type = MESSAGE_PREPARED;
    if ((result = channel_send(channel, &message, NULL, 0)) < 0) return fail(failure, result, -1, "ready", "channel");
    if (channel_receive(channel, &message, fds, &count, &pid, 0) != 1) sys_exit(1);
    if (message.type != MESSAGE_PLAN || count != 1) return fail(failure, EPROTO, -1, "plan", "message");
    if ((result = SYS(SYS_dup3, fds[0], PLAN_FD, O_CLOEXEC)) < 0) return fail(failure, result, -1, "plan", "descriptor");
    sys_close(fds[0]);
    ready_no_more(run, "nsfleet-init");
    if ((result = load_plan(run->plan, PLAN_RUN, failure)) < 0) return result;
    prepare_continue(run, work);
    return 0;
}

/* Waits for the id maps; then becomes root inside. */
static int come_alive(const struct plan *plan, int channel, struct failure *failure) {
    struct message message;
    int fds[PLAN_SLOTS_MAX], count, pid, result;

    if (channel_receive(channel, &message, fds, &count, &pid, 0) != 1 || message.type != MESSAGE_GO) sys_exit(1);
    if (!plan->setgroups_deny && (result = SYS(SYS_setgroups, 0, NULL)) < 0) return fail(failure, result, -1, "ids", "setgroups");
    if ((result = SYS(SYS_setresgid, 0, 0, 0)) < 0) return fail(failure, result, -1, "ids", "gid 0");
    if ((result = SYS(SYS_setresuid, 0, 0, 0)) < 0) return fail(failure, result, -1, "ids", "uid 0");
    /* Others may be in a user namespace that was joined. */
    if (plan->joins > 0 && (result = SYS(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0)) < 0) return fail(failure, result, -1, "dumpable", "-");
    /* After the ids, whose change clears it. */
    if ((result = die_with_outer(channel, failure)) < 0) return result;
    SYS(SYS_prctl, PR_SET_NAME, "nsfleet-init", 0, 0, 0);
    return 0;
}

/* Everything is made, here and outside. */
static int await_start(struct failure *failure) {
    struct message message;
    int fds[PLAN_SLOTS_MAX], count, pid;
    if (channel_receive(INIT_CHANNEL_FD, &message, fds, &count, &pid, 0) != 1) sys_exit(1);
    return message.type == MESSAGE_START && count == 0 ? 0 : fail(failure, EPROTO, -1, "start", "message");
}

static int move_fd(int from, int to) {
    return from < 0 ? from : SYS(SYS_dup3, from, to, O_CLOEXEC);
}

/* Leaves exactly: 0 /dev/null of the sandbox, 1 and 2 the streams, the channel and the report pipe. */
static int arrange_fds(int channel, int report, const int output[LOGS]) {
    int lifted[4], result;
    const int wanted[4] = {output[0], output[1], channel, report};
    static const int place[4] = {1, 2, INIT_CHANNEL_FD, INIT_REPORT_FD};
    for (int i = 0; i < 4; i++)
        if ((lifted[i] = SYS(SYS_fcntl, wanted[i], F_DUPFD_CLOEXEC, LIFTED_FD)) < 0) return lifted[i];
    int null = SYS(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (null >= 0) SYS(SYS_dup3, null, 0, 0);
    for (int i = 0; i < 4; i++) {
        if ((result = i < 2 ? SYS(SYS_dup3, lifted[i], place[i], 0) : move_fd(lifted[i], place[i])) < 0) return result;
    }
    return sys_close_range(INIT_REPORT_FD + 1);
}

__attribute__((noreturn)) static void command_main(struct work *work) {
    struct message message;
    struct failure failure;
    memset(&message, 0, sizeof message);
    message.type = MESSAGE_COMMAND;
    int self = SYS(NR_PIDFD_OPEN, SYS(SYS_getpid), 0);
    int result = self < 0 ? self : channel_send(INIT_CHANNEL_FD, &message, &self, 1);
    if (result < 0) {
        fail(&failure, result, -1, "command_pidfd", "-");
        exec_failed(INIT_REPORT_FD, &failure);
    }
    if (plan_find(work->plan, OP_SECCOMP_LOG) != NULL) work->calls_channel = SYS(SYS_fcntl, INIT_CHANNEL_FD, F_DUPFD_CLOEXEC, INIT_REPORT_FD + 1);
    sys_close(INIT_CHANNEL_FD);
    exec_command(work, INIT_REPORT_FD, 0);
}

/* Reaps until the command has ended, tells how, and ends: the kernel then kills all that is left in the PID namespace. */
__attribute__((noreturn)) static void init_main(const struct plan *plan, int command) {
    struct message message;
    struct failure failure;
    int status;
    memset(&message, 0, sizeof message);
    message.type = MESSAGE_EXITED;
    signals_block();
    sys_close(0);
    sys_close(1);
    sys_close(2);
    sys_close(INIT_REPORT_FD);
    int shared = remains_possible(plan), result = shared ? remains_prepare(plan) : caps_set(0);
    if (result < 0) fail(&failure, result, -1, "capabilities", "init");
    else result = filter_install(plan, -1, &failure);
    if (result < 0 && shared) remains_end();
    if (result < 0) give_up(INIT_CHANNEL_FD, &failure);
    for (;;) {
        int pid = shared ? remains_wait(&status) : SYS(SYS_wait4, -1, &status, 0, NULL);
        if (pid == -ECHILD) sys_exit(1);
        /* Whoever supervised has told to end, or is gone. */
        if (shared && pid == 0) SYS(SYS_kill, command, SIGKILL);
        if (pid == 0) continue;
        if (pid < 0) continue;
        /* PTRACE_TRACEME makes PID 1 a tracer against its will, and wait4 then tells of stops too: let it go, with the signal it waits for. */
        if (WIFSTOPPED(status)) SYS(SYS_ptrace, PTRACE_DETACH, pid, 0, WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status));
        else if (pid == command) break;
    }
    message.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    message.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (shared) remains_end();
    channel_send(INIT_CHANNEL_FD, &message, NULL, 0);
    sys_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

void inner_main(struct run *run, int channel, int report, const int output[LOGS]) {
    struct plan *plan = run->plan;
    struct work work;
    struct failure failure;
    int pidfd, result;

    inner_channel = channel;
    work_init(&work, plan);
    if (run->first != NULL && await_plan(&work, run, channel, &failure) < 0) give_up(channel, &failure);
    if (run->first == NULL) work.state_fd = STATE_FD;
    work.note = note;
    for (int i = 0; i < LOGS; i++) work.stream[1 + i] = output[i];
    work.fetch_slots = fetch_slots;
    if (come_alive(plan, channel, &failure) < 0) give_up(channel, &failure);
    if (remains_possible(plan) && (result = remains_adopt()) < 0) {
        fail(&failure, result, -1, "subreaper", "-");
        give_up(channel, &failure);
    }
    if (interpret(&work, PLAN_INNER, &failure) < 0) give_up(channel, &failure);
    /* A plan that used no slot: the host's operations must all the same have gone well. */
    if (work.fetch_slots != NULL) work.fetch_slots(&work);
    if ((result = arrange_fds(channel, report, output)) < 0) {
        fail(&failure, result, -1, "descriptors", "-");
        give_up(channel, &failure);
    }
    if (await_start(&failure) < 0) give_up(INIT_CHANNEL_FD, &failure);
    int command = sys_clone(0, &pidfd);
    if (command == 0) command_main(&work);
    if (command < 0) {
        fail(&failure, command, -1, "fork", "-");
        give_up(INIT_CHANNEL_FD, &failure);
    }
    sys_close(pidfd);
    init_main(plan, command);
}
