/* `shim enter`: joins a sandbox and runs one command there, with standard streams of the agent's.
 *
 * The order is what keeps a hostile sandbox out of this process: non-dumpable before anything (main.c); the sandbox's ids taken
 * before joining, so that no process of it ever has the host's root id; all namespaces in one setns, by pidfd, so that pid
 * reuse cannot lead elsewhere; then the fork that first shows in the sandbox's PID namespace, which by then holds nothing of the
 * host but its standard streams. */
#include "caps.h"
#include "exec.h"
#include "interpret.h"
#include "load.h"
#include "modes.h"
#include "connection.h"
#include "signals.h"
#include "sys.h"

#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct entered {
    struct connection agent;
    int pid, pidfd, report, running;
};

/* A host root takes the id that is root inside. What it needs for setns stays: SYS_ADMIN to join, SYS_CHROOT to join a mount
 * namespace (setns(2) asks the caller's old credentials), SYS_PTRACE to use the pidfd of a process that cannot be dumped. */
static int take_outside_ids(const struct plan *plan) {
    uint32_t uid = plan_outside_id(plan->uid_map, plan->uid_maps, 0), gid = plan_outside_id(plan->gid_map, plan->gid_maps, 0);
    int result;
    if (uid == PLAN_NO_ID || gid == PLAN_NO_ID) return -EINVAL;
    if (sys_geteuid() != 0 || uid == 0) return 0;
    for (int fd = 0; fd <= 2; fd++) { /* so that /dev/stdout can be opened again inside */
        struct stat st;
        if (SYS(SYS_fstat, fd, &st) == 0 && S_ISFIFO(st.st_mode))
            SYS(SYS_fchown, fd, plan_outside_id(plan->uid_map, plan->uid_maps, plan->uid),
                    plan_outside_id(plan->gid_map, plan->gid_maps, plan->gid));
    }
    if ((result = SYS(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0)) < 0) return result;
    if ((result = SYS(SYS_setresgid, gid, gid, gid)) < 0) return result;
    if ((result = SYS(SYS_setresuid, uid, uid, uid)) < 0) return result;
    return caps_set(CAP_BIT(CAP_SYS_ADMIN) | CAP_BIT(CAP_SYS_CHROOT) | CAP_BIT(CAP_SYS_PTRACE));
}

/* A root agent is shielded from the OOM killer; a command in a sandbox must not be (birth.c does it for the first one). Before joining, while
 * /proc is the host's. Refused where it would lower the score: then it stays higher, which is right too. */
static void be_killable(void) {
    OWNED_FD fd = SYS(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC, 0);
    if (fd >= 0) SYS(SYS_write, fd, "0", 1);
}

/* New credentials bring back fs.suid_dumpable, which an administrator may have set to 1. */
static int stay_undumpable(struct failure *failure) {
    if (SYS(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && SYS(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0) == 0) return 0;
    return fail(failure, EPERM, -1, "dumpable", "-");
}

static int join(const struct plan *plan, struct failure *failure) {
    int result = take_outside_ids(plan);
    if (result < 0) return fail(failure, result, -1, "ids", "-");
    if ((result = stay_undumpable(failure)) < 0) return result;
    if ((result = SYS(SYS_setns, TARGET_FD, (int)plan->namespaces)) < 0) return fail(failure, result, -1, "setns", "-");
    sys_close(TARGET_FD);
    if ((result = stay_undumpable(failure)) < 0) return result;
    if ((result = SYS(SYS_setresgid, 0, 0, 0)) < 0) return fail(failure, result, -1, "ids", "gid 0");
    if ((result = SYS(SYS_setresuid, 0, 0, 0)) < 0) return fail(failure, result, -1, "ids", "uid 0");
    return stay_undumpable(failure);
}

__attribute__((noreturn)) static void child_main(const struct plan *plan, int report) {
    struct work work;
    struct failure failure;
    sys_close(CONTROL_FD);
    work_init(&work, plan);
    if (interpret(&work, PLAN_INNER, &failure) < 0) exec_failed(report, &failure);
    exec_command(plan, report, 1);
}

static int start(const struct plan *plan, struct entered *entered, struct failure *failure) {
    int report[2];
    int result = SYS(SYS_pipe2, report, O_CLOEXEC);
    if (result < 0) return fail(failure, result, -1, "pipe", "-");
    entered->pid = sys_clone(0, &entered->pidfd);
    if (entered->pid == 0) {
        sys_close(report[0]);
        child_main(plan, report[1]);
    }
    sys_close(report[1]);
    if (entered->pid < 0) return fail(failure, entered->pid, -1, "fork", "-");
    entered->report = report[0];
    SYS(SYS_fcntl, report[0], F_SETFL, O_NONBLOCK);
    /* The streams are the command's alone now: the agent must see their end. */
    sys_close(0);
    sys_close(1);
    sys_close(2);
    result = caps_set(CAP_BIT(CAP_KILL));
    return result < 0 ? fail(failure, result, -1, "capabilities", "-") : 0;
}

/* Its process group, while its pid is still ours to name: it is not reaped yet. */
static void kill_all(const struct entered *entered) {
    SYS(SYS_kill, -entered->pid, SIGKILL);
    SYS(NR_PIDFD_SEND_SIGNAL, entered->pidfd, SIGKILL, NULL, 0);
}

static void serve(void *context, struct connection *from, struct request request) {
    struct entered *entered = context;
    switch (request.type) {
        case REQUEST_KILL: kill_all(entered); break;
        case REQUEST_SIGNAL:
            connection_answer(from, SYS(NR_PIDFD_SEND_SIGNAL, entered->pidfd, request.signal, NULL, 0), "signal");
            break;
        case REQUEST_UNKNOWN: connection_answer(from, -EINVAL, "request"); break;
    }
}

static int supervise(struct entered *entered, struct failure *failure) {
    int failed = 0, status = 0;
    for (;;) {
        struct pollfd polled[3] = {{entered->pidfd, POLLIN, 0}, {entered->report, POLLIN, 0}, {entered->agent.fd, POLLIN, 0}};
        int ready = signals_poll(polled, 3);
        if (ready < 0 && ready != -EINTR) kill_all(entered);
        if (signals_terminated) {
            signals_terminated = 0;
            kill_all(entered);
            continue;
        }
        if (polled[1].revents != 0) {
            int result = exec_report(entered->report, failure);
            if (result != 0) close_now(&entered->report);
            if (result < 0) failed = 1;
            if (result > 0) connection_send_running(&entered->agent, SYS(SYS_getpid), entered->pid);
        }
        if (polled[2].revents != 0 && connection_read(&entered->agent, serve, entered) < 0) close_now(&entered->agent.fd);
        if (entered->agent.fd < 0 && polled[0].revents == 0) kill_all(entered); /* nobody is left to read what it says */
        if (polled[0].revents == 0 || entered->report >= 0) continue;
        SYS(SYS_wait4, entered->pid, &status, 0, NULL);
        if (failed) return -1;
        connection_send_exit(&entered->agent, WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
        return 0;
    }
}

int enter_main(struct plan *plan) {
    struct failure failure;
    struct entered entered = {.agent = {.fd = CONTROL_FD}, .report = -1, .pidfd = -1};
    int result = load_plan(plan, PLAN_ENTER, &failure);
    be_killable();
    if (result == 0) result = join(plan, &failure);
    if (result == 0) result = start(plan, &entered, &failure);
    if (result == 0) result = supervise(&entered, &failure);
    if (result < 0) connection_send_failure(&entered.agent, &failure);
    return result < 0 ? 1 : 0;
}
