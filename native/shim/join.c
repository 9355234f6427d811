/* `shim join`: runs a command of the host's in chosen namespaces, each given by a descriptor, the host's where none is given: nsenter(1) for an
 * agent. What runs keeps the host root's capabilities, so whether it may be asked for at all is the agent's policy to say. */
#include "attend.h"
#include "caps.h"
#include "exec.h"
#include "interpret.h"
#include "joins.h"
#include "load.h"
#include "modes.h"
#include "sys.h"

#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>

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
    uint32_t joined = 0;
    int result;
    for (unsigned i = 0; i < plan->joins; i++) joined |= plan->join[i].flag;
    int sysfs = (joined & SYS_CLONE_NEWNET) != 0 && (joined & SYS_CLONE_NEWNS) == 0;
    for (unsigned i = 0; i < plan->joins; i++) {
        /* The last one: until then the host's capabilities are over all of them. */
        if (plan->join[i].flag == SYS_CLONE_NEWUSER && sysfs && (result = own_sysfs(failure)) < 0) return result;
        if (plan->join[i].flag == SYS_CLONE_NEWUSER) sysfs = 0;
        if ((result = joins_enter(&plan->join[i], TARGET_FD + (int)i, failure)) < 0) return result;
    }
    return sysfs ? own_sysfs(failure) : 0;
}

__attribute__((noreturn)) static void child_main(const struct plan *plan, int report) {
    struct work work;
    struct failure failure;
    work_init(&work, plan);
    if (interpret(&work, PLAN_INNER, &failure) < 0) exec_failed(report, &failure);
    exec_command(&work, report, EXEC_DIE_WITH_PARENT | EXEC_KEEP_CAPABILITIES);
}

int join_main(struct plan *plan) {
    struct failure failure;
    int result = load_plan(plan, PLAN_ENTER, &failure);
    be_killable();
    if (result == 0) sys_close_range(TARGET_FD + plan->joins);
    if (result == 0) result = join_all(plan, &failure);
    if (result == 0) return attend(plan, child_main, CAP_BIT(CAP_KILL));
    return attend_failed(&failure);
}
