/* The outer half's first half: the channels, and clone3 with the namespaces. Nothing here needs to know whose sandbox it will be. */
#include "joins.h"
#include "load.h"
#include "proc_write.h"
#include "run.h"
#include "sys.h"

#include <signal.h>
#include <sys/mman.h>
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

/* What the joiner tells; in memory that both have. */
struct told {
    int pid, pidfd;
    struct failure failure;
};

/*
 * Where namespaces are joined: a child joins them, then makes the inner half as its brother (CLONE_PARENT), and ends. This process, which supervises,
 * stays in the host's own. The child shares its descriptors, so that the pidfd is here too. As sys_clone: 0 in the inner half.
 */
static int clone_joined(struct run *run, uint64_t flags) {
    const struct plan *plan = run->plan;
    int unused, status;
    struct sys_clone_args args = {.flags = flags | SYS_CLONE_PIDFD | SYS_CLONE_PARENT};
    long memory = nsf_raw6(SYS_mmap, 0, sizeof(struct told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory < 0 && memory > -4096) return fail(&run->failure, (int)memory, -1, "clone3", "memory");
    struct told *told = (struct told *)memory;
    /* Into the cgroup while its own cgroup namespace still shows it. */
    int joiner = sys_clone_into(SYS_CLONE_FILES, &unused, run->cgroup);
    if (joiner == 0) {
        if (joins_enter_all(plan, JOIN_FD, &told->failure) < 0) sys_exit(1);
        args.pidfd = (uint64_t)(uintptr_t)&told->pidfd;
        int pid = SYS(NR_CLONE3, &args, sizeof args);
        if (pid == 0) return 0;
        told->pid = pid;
        if (pid < 0) fail(&told->failure, pid, -1, "clone3", "namespaces");
        sys_exit(pid < 0);
    }
    if (joiner < 0) return fail(&run->failure, joiner, -1, "clone3", "joiner");
    sys_close(unused);
    while (SYS(SYS_wait4, joiner, &status, 0, NULL) == -EINTR) continue;
    int pid = told->pid;
    if (pid > 0) run->init_pidfd = told->pidfd;
    else run->failure = told->failure;
    if (pid == 0 && run->failure.errnum == 0) fail(&run->failure, EPROTO, -1, "clone3", "joiner died");
    SYS(SYS_munmap, told, sizeof *told);
    return pid > 0 ? pid : -run->failure.errnum;
}

int run_birth(struct run *run, uint64_t namespaces) {
    int channel[2] = {-1, -1}, report[2] = {-1, -1}, output[LOGS] = {-1, -1};
    int result;

    if ((result = open_streams(run, output)) < 0) return fail(&run->failure, result, -1, "pipe", "-");
    if ((result = open_channels(channel, report)) < 0) return fail(&run->failure, result, -1, "channel", "-");

    /* The cgroup namespace's root is the cgroup of who makes it; the clocks of a time namespace are set before anybody is in it. */
    namespaces &= ~(uint64_t)SYS_CLONE_NEWCGROUP;
    if (plan_find(run->plan, OP_TIME_OFFSETS) != NULL) namespaces &= ~(uint64_t)SYS_CLONE_NEWTIME;
    run->init_pid = run->plan->joins > 0 ? clone_joined(run, namespaces) : sys_clone_into(namespaces, &run->init_pidfd, run->cgroup);
    if (run->init_pid == 0) {
        sys_close(CONTROL_FD);
        close_now(&run->cgroup);
        sys_close(channel[0]);
        inner_main(run, channel[1], report[1], output);
    }
    if (run->init_pid < 0) {
        run->init_pidfd = -1;
        if (run->plan->joins > 0) return run->init_pid;
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
