/* nsfleet-shim: the small program that parents one sandbox (`run`; `ready` where its plan comes later), one process in it (`enter`) or in
 * any namespaces (`join`), mounts new namespaces on files (`keep`), unpacks archives (`unpack`), or hears of the host's changes (`watch`). Started by the agent with an
 * exact set of descriptors (load.h, watch.h) from a sealed memfd; holds no secret, reads no environment. */
#include "cgroup.h"
#include "load.h"
#include "modes.h"
#include "prepare.h"
#include "run.h"
#include "signals.h"
#include "sys.h"
#include "watch.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static struct plan plan, first; /* static: 90 KiB of which only what a plan fills is ever touched */

/* mount_setattr(2) is the newest call that nothing replaces. */
static int kernel_is_too_old(void) {
    return SYS(NR_MOUNT_SETATTR, -1, "", 0, NULL, 0) == -ENOSYS;
}

static int run_main(char *mode, int ready) {
    static struct run run;
    run.plan = &plan;
    run.mode = mode;
    run.first = ready ? &first : NULL;
    for (unsigned i = 0; i < PLAN_OPS_MAX; i++) run.made[i] = -1;
    for (unsigned i = 0; i < PLAN_SLOTS_MAX; i++) run.slot[i] = -1;
    life_init(&run.life);
    run.cgroup = cgroup_given();
    run.init_pidfd = run.command_pidfd = run.channel = run.report = run.listener = -1;
    run.calls.listener = run.calls.file = -1;
    for (int i = 0; i < LOGS; i++) run.log[i].pipe = run.log[i].file = -1;
    for (int i = 0; i < CONNECTIONS_MAX; i++) run.connection[i].fd = -1;
    run.connection[CONNECTIONS_MAX].fd = CONTROL_FD;

    int result = kernel_is_too_old() ? fail(&run.failure, ENOSYS, -1, "kernel", "mount_setattr(2): Linux 5.12 or newer is needed")
                                       : 0;
    if (result == 0) result = load_plan(ready ? &first : &plan, PLAN_RUN, &run.failure);
    if (result == 0 && !ready) sys_close_range(JOIN_FD + plan.joins);
    if (result == 0 && ready) {
        SYS(SYS_dup3, STATE_FD, PLAN_FD, O_CLOEXEC); /* keeps the place of the real plan from others */
        result = prepare_outer(&run);
    }
    if (result == 0) result = run_birth(&run, ready ? first.namespaces : plan.namespaces);
    if (result == 0 && ready) result = ready_await(&run);
    if (result == 0) result = run_begin(&run);
    if (result < 0) run_abandon(&run);
    int status = result == 0 ? run_supervise(&run) : 1;
    SYS(SYS_unlinkat, STATE_FD, "shim.sock", 0);
    if (status != 0) {
        connection_send_failure(&run.connection[CONNECTIONS_MAX], &run.failure);
        connection_hear_out(&run.connection[CONNECTIONS_MAX]);
    }
    return status;
}

int main(int argc, char **argv) {
    char none[] = "", *mode = argc == 2 || argc == 4 ? argv[1] : none;
    int entering = strcmp(mode, "enter") == 0, ready = strcmp(mode, "ready") == 0, watching = strcmp(mode, "watch") == 0;
    int joining = strcmp(mode, "join") == 0, unpacking = strcmp(mode, "unpack") == 0, keeping = strcmp(mode, "keep") == 0, running = ready || strcmp(mode, "run") == 0;
    if ((argc == 4) != watching || (!entering && !joining && !keeping && !unpacking && !watching && !running)) return 2;
    /* A plain user's id maps are written through /proc/<child>, which only a dumpable process leaves to its user. */
    if (entering || joining || sys_geteuid() == 0) SYS(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    SYS(SYS_prctl, PR_SET_NAME, "nsfleet-shim", 0, 0, 0);
    signals_supervise();
    SYS(SYS_setsid); /* fails only for a session leader, which is as good */
    if (sys_geteuid() == 0) SYS(SYS_setgroups, 0, NULL);
    SYS(SYS_chdir, "/"); /* not to keep a mount of the host busy that the agent was started in */
    SYS(SYS_umask, 0); /* every file and directory is made with the mode that it names */
    /* Only what is ours, whoever started this. `join` and `run` have a number of descriptors that their plan tells. */
    if (!joining && (!running || ready)) sys_close_range(ready ? CGROUP_FD + 1 : CGROUP_FD);
    for (unsigned fd = PLAN_FD; fd <= STATE_FD; fd++) SYS(SYS_fcntl, (int)fd, F_SETFD, FD_CLOEXEC);
    if (watching) return watch_main(argv[2], argv[3]);
    if (entering) return enter_main(&plan);
    if (joining) return join_main(&plan);
    if (unpacking) return unpack_main();
    return keeping ? keep_main() : run_main(mode, ready);
}
