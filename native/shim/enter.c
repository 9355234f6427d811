/* `shim enter`: joins a sandbox and runs one command there, with standard streams of the agent's.
 *
 * The order is what keeps a hostile sandbox out of this process: non-dumpable before anything (main.c); the sandbox's ids taken
 * before joining, so that no process of it ever has the host's root id; all namespaces in one setns, by pidfd, so that pid
 * reuse cannot lead elsewhere; then the fork that first shows in the sandbox's PID namespace, which by then holds nothing of the
 * host but its standard streams. */
#include "attend.h"
#include "caps.h"
#include "exec.h"
#include "interpret.h"
#include "load.h"
#include "modes.h"
#include "sys.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>

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
            SYS(SYS_fchown, fd, plan_outside_id(plan->uid_map, plan->uid_maps, plan->uid == PLAN_NO_ID ? 0 : plan->uid),
                    plan_outside_id(plan->gid_map, plan->gid_maps, plan->gid == PLAN_NO_ID ? 0 : plan->gid));
    }
    if ((result = SYS(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0)) < 0) return result;
    if ((result = SYS(SYS_setresgid, gid, gid, gid)) < 0) return result;
    if ((result = SYS(SYS_setresuid, uid, uid, uid)) < 0) return result;
    return caps_set(CAP_BIT(CAP_SYS_ADMIN) | CAP_BIT(CAP_SYS_CHROOT) | CAP_BIT(CAP_SYS_PTRACE));
}

/* While this still is a process of the host's: what it forks in the sandbox takes its limits from here. */
static int host_operations(const struct plan *plan, struct failure *failure) {
    struct work work;
    work_init(&work, plan);
    return interpret(&work, PLAN_HOST, failure);
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
    work_init(&work, plan);
    for (int fd = 0; fd < STREAMS; fd++) work.stream[fd] = fd;
    if (interpret(&work, PLAN_INNER, &failure) < 0) exec_failed(report, &failure);
    exec_command(&work, report, EXEC_DIE_WITH_PARENT);
}

int enter_main(struct plan *plan) {
    struct failure failure;
    int result = load_plan(plan, PLAN_ENTER, &failure);
    be_killable();
    if (result == 0) result = host_operations(plan, &failure);
    if (result == 0) result = join(plan, &failure);
    if (result == 0) return attend(plan, child_main, CAP_BIT(CAP_KILL));
    return attend_failed(&failure);
}
