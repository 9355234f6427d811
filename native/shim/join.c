/* `shim join`: runs a command of the host's in chosen namespaces, each given by a descriptor, the host's where none is given: nsenter(1) for an
 * agent. What runs keeps the host root's capabilities, so whether it may be asked for at all is the agent's policy to say. */
#include "attend.h"
#include "caps.h"
#include "exec.h"
#include "interpret.h"
#include "load.h"
#include "modes.h"
#include "sys.h"

#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>

/* The user namespace last: until then the host's capabilities are over all of them. The mount namespace late: the descriptors do not need it. */
static const struct {
    uint64_t flag;
    char name[8]; /* no pointers in tables: they would have to be relocated at each start */
} order[] = {
    {SYS_CLONE_NEWCGROUP, "cgroup"}, {SYS_CLONE_NEWIPC, "ipc"}, {SYS_CLONE_NEWUTS, "uts"}, {SYS_CLONE_NEWNET, "net"},
    {SYS_CLONE_NEWTIME, "time"},     {SYS_CLONE_NEWPID, "pid"}, {SYS_CLONE_NEWNS, "mnt"},  {SYS_CLONE_NEWUSER, "user"},
};
enum { TYPES = sizeof order / sizeof *order };

/* As ip-netns(8) does it: what a tool reads below /sys should be of the network namespace that it is in. */
static int own_sysfs(struct failure *failure) {
    int result = SYS(SYS_unshare, SYS_CLONE_NEWNS);
    if (result == 0) result = SYS(SYS_mount, "", "/", "none", MS_SLAVE | MS_REC, NULL);
    if (result < 0) return fail(failure, result, -1, "own_mounts", "-");
    SYS(SYS_umount2, "/sys", MNT_DETACH);
    result = SYS(SYS_mount, "sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL);
    /* A host without /sys has none afterwards either. */
    return result < 0 && result != -ENOENT ? fail(failure, result, -1, "sysfs", "/sys") : 0;
}

static int join_all(const struct plan *plan, struct failure *failure) {
    int fd = TARGET_FD;
    int sysfs = (plan->namespaces & SYS_CLONE_NEWNET) != 0 && (plan->namespaces & SYS_CLONE_NEWNS) == 0;
    for (unsigned i = 0; i < TYPES; i++) {
        int result;
        if (order[i].flag == SYS_CLONE_NEWUSER && sysfs && (result = own_sysfs(failure)) < 0) return result;
        if ((plan->namespaces & order[i].flag) == 0) continue;
        if ((result = SYS(SYS_setns, fd, (int)order[i].flag)) < 0) return fail(failure, result, -1, "setns", order[i].name);
        sys_close(fd++);
        /* New credentials bring back fs.suid_dumpable. */
        if (SYS(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return fail(failure, EPERM, -1, "dumpable", "-");
    }
    return 0;
}

__attribute__((noreturn)) static void child_main(const struct plan *plan, int report) {
    struct work work;
    struct failure failure;
    work_init(&work, plan);
    if (interpret(&work, PLAN_INNER, &failure) < 0) exec_failed(report, &failure);
    exec_command(&work, report, EXEC_DIE_WITH_PARENT | EXEC_KEEP_CAPABILITIES);
}

static unsigned descriptors(const struct plan *plan) {
    unsigned count = 0;
    for (unsigned i = 0; i < TYPES; i++) count += (plan->namespaces & order[i].flag) != 0;
    return count;
}

int join_main(struct plan *plan) {
    struct failure failure;
    int result = load_plan(plan, PLAN_ENTER, &failure);
    be_killable();
    if (result == 0) sys_close_range(TARGET_FD + descriptors(plan));
    if (result == 0) result = join_all(plan, &failure);
    if (result == 0) return attend(plan, child_main, CAP_BIT(CAP_KILL));
    return attend_failed(&failure);
}
