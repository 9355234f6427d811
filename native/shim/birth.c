/* The outer half's first half: the channels, and clone3 with the namespaces. Nothing here needs to know whose sandbox it will be. */
#include "load.h"
#include "proc_write.h"
#include "run.h"
#include "sys.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int open_streams(struct run *run, int output[LOGS]) {
    for (int i = 0; i < LOGS; i++) {
        int ends[2];
        int result = SYS(SYS_pipe2, ends, O_CLOEXEC);
        if (result < 0) return result;
        run->log[i].pipe = ends[0];
        output[i] = ends[1];
        if ((result = SYS(SYS_fcntl, ends[0], F_SETFL, O_NONBLOCK)) < 0) return result;
    }
    return 0;
}

static int open_channels(int channel[2], int report[2]) {
    int on = 1;
    int result = SYS(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel);
    if (result < 0) return result;
    if ((result = SYS(SYS_setsockopt, channel[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on)) < 0) return result;
    if ((result = SYS(SYS_pipe2, report, O_CLOEXEC)) < 0) return result;
    return SYS(SYS_fcntl, report[0], F_SETFL, O_NONBLOCK);
}

int run_birth(struct run *run, uint64_t namespaces) {
    int channel[2] = {-1, -1}, report[2] = {-1, -1}, output[LOGS] = {-1, -1};
    int result;

    if ((result = open_streams(run, output)) < 0) return fail(&run->failure, result, -1, "pipe", "-");
    if ((result = open_channels(channel, report)) < 0) return fail(&run->failure, result, -1, "channel", "-");

    run->init_pid = sys_clone_into(namespaces & ~(uint64_t)SYS_CLONE_NEWCGROUP, &run->init_pidfd, run->cgroup);
    if (run->init_pid == 0) {
        sys_close(CONTROL_FD);
        close_now(&run->cgroup);
        sys_close(channel[0]);
        inner_main(run, channel[1], report[1], output);
    }
    if (run->init_pid < 0) {
        run->init_pidfd = -1;
        return fail(&run->failure, run->init_pid, -1, "clone3", run->cgroup < 0 ? "namespaces" : "namespaces, cgroup");
    }
    run->channel = channel[0];
    run->report = report[0];
    sys_close(channel[1]);
    sys_close(report[1]);
    for (int i = 0; i < LOGS; i++) sys_close(output[i]);
    /* A root agent is shielded from the OOM killer; a sandbox must not be. Refused where it would lower the score: then the
     * sandbox keeps a higher one, which is right too. */
    proc_write(run->init_pid, "oom_score_adj", "0");
    return 0;
}

void run_abandon(struct run *run) {
    if (run->init_pidfd < 0) return;
    SYS(NR_PIDFD_SEND_SIGNAL, run->init_pidfd, SIGKILL, NULL, 0);
    SYS(SYS_wait4, run->init_pid, NULL, 0, NULL);
    close_now(&run->init_pidfd);
}
