#include "attend.h"

#include "caps.h"
#include "connection.h"
#include "exec.h"
#include "load.h"
#include "signals.h"
#include "sys.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

struct attended {
    struct connection agent;
    int pid, pidfd, report;
};

static int start(const struct plan *plan, attended_fn child, uint64_t capabilities, struct attended *attended, struct failure *failure) {
    int report[2];
    int result = SYS(SYS_pipe2, report, O_CLOEXEC);
    if (result < 0) return fail(failure, result, -1, "pipe", "-");
    attended->pid = sys_clone(0, &attended->pidfd);
    if (attended->pid == 0) {
        sys_close(report[0]);
        sys_close(CONTROL_FD);
        child(plan, report[1]);
    }
    sys_close(report[1]);
    if (attended->pid < 0) return fail(failure, attended->pid, -1, "fork", "-");
    attended->report = report[0];
    SYS(SYS_fcntl, report[0], F_SETFL, O_NONBLOCK);
    /* The streams are the command's alone now: the agent must see their end. */
    sys_close(0);
    sys_close(1);
    sys_close(2);
    result = caps_set(capabilities);
    return result < 0 ? fail(failure, result, -1, "capabilities", "-") : 0;
}

/* Its process group, while its pid is still ours to name: it is not reaped yet. */
static void kill_all(const struct attended *attended) {
    SYS(SYS_kill, -attended->pid, SIGKILL);
    SYS(NR_PIDFD_SEND_SIGNAL, attended->pidfd, SIGKILL, NULL, 0);
}

static void serve(void *context, struct connection *from, struct request request) {
    struct attended *attended = context;
    switch (request.type) {
        case REQUEST_KILL: kill_all(attended); break;
        case REQUEST_SIGNAL:
            connection_answer(from, SYS(NR_PIDFD_SEND_SIGNAL, attended->pidfd, request.signal, NULL, 0), "signal");
            break;
        case REQUEST_ACTIVE:
        case REQUEST_UNKNOWN: connection_answer(from, -EINVAL, "request"); break;
    }
}

static int supervise(struct attended *attended, struct failure *failure) {
    int failed = 0, status = 0;
    for (;;) {
        struct pollfd polled[3] = {{attended->pidfd, POLLIN, 0}, {attended->report, POLLIN, 0}, {attended->agent.fd, POLLIN, 0}};
        int ready = signals_poll(polled, 3);
        if (ready < 0 && ready != -EINTR) kill_all(attended);
        if (signals_terminated) {
            signals_terminated = 0;
            kill_all(attended);
            continue;
        }
        if (polled[1].revents != 0) {
            int result = exec_report(attended->report, failure);
            if (result != 0) close_now(&attended->report);
            if (result < 0) failed = 1;
            if (result > 0) connection_send_running(&attended->agent, SYS(SYS_getpid), attended->pid);
        }
        if (polled[2].revents != 0 && connection_read(&attended->agent, serve, attended) < 0) close_now(&attended->agent.fd);
        if (attended->agent.fd < 0 && polled[0].revents == 0) kill_all(attended); /* nobody is left to read what it says */
        if (polled[0].revents == 0 || attended->report >= 0) continue;
        SYS(SYS_wait4, attended->pid, &status, 0, NULL);
        if (failed) return -1;
        connection_send_exit(&attended->agent, WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0, NULL);
        return 0;
    }
}

/* A root agent is shielded from the OOM killer; a command in a sandbox must not be (birth.c does it for the first one). Refused where it would lower the score: then it stays higher, which is right too. */
void be_killable(void) {
    OWNED_FD fd = SYS(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC, 0);
    if (fd >= 0) SYS(SYS_write, fd, "0", 1);
}

int attend_failed(const struct failure *failure) {
    struct connection agent = {.fd = CONTROL_FD};
    connection_send_failure(&agent, failure);
    return 1;
}

int attend(const struct plan *plan, attended_fn child, uint64_t capabilities) {
    struct failure failure;
    struct attended attended = {.agent = {.fd = CONTROL_FD}, .report = -1, .pidfd = -1};
    int result = start(plan, child, capabilities, &attended, &failure);
    if (result == 0) result = supervise(&attended, &failure);
    if (result < 0) connection_send_failure(&attended.agent, &failure);
    return result < 0 ? 1 : 0;
}
