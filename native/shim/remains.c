#include "remains.h"

#include "caps.h"
#include "sys.h"
#include "text.h"

#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* No command may have it: UserIds of shared/sandbox.ts ends below. */
enum { OWN_ID = 65535 };

int remains_possible(const struct plan *plan) {
    return plan->kind == PLAN_RUN && (plan->namespaces & SYS_CLONE_NEWPID) == 0;
}

int remains_adopt(void) {
    return SYS(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

static int has_joined_ids(const struct plan *plan) {
    for (unsigned i = 0; i < plan->joins; i++)
        if (plan->join[i].flag == SYS_CLONE_NEWUSER) return plan_outside_id(plan->uid_map, plan->uid_maps, OWN_ID) != PLAN_NO_ID;
    return 0;
}

int remains_prepare(const struct plan *plan) {
    int result;
    if (has_joined_ids(plan)) {
        if ((result = SYS(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0)) < 0) return result;
        if ((result = SYS(SYS_setresuid, OWN_ID, OWN_ID, OWN_ID)) < 0) return result;
        if ((result = SYS(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0)) < 0) return result;
    }
    if ((result = caps_set(CAP_BIT(CAP_KILL))) < 0) return result;
    return SYS(SYS_prctl, PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
}

int remains_wait(int *status) {
    /* All signals are blocked here, so none is lost between the look and the wait. */
    static const uint64_t heard = 1ull << (SIGCHLD - 1) | 1ull << (SIGTERM - 1);
    for (;;) {
        int pid = SYS(SYS_wait4, -1, status, WNOHANG, NULL);
        if (pid != 0) return pid;
        if (SYS(SYS_rt_sigtimedwait, &heard, NULL, NULL, sizeof heard) == SIGTERM) return 0;
    }
}

/* How many were killed. The pids are those of children that are not reaped yet, so they are nobody else's. */
static int kill_children(void) {
    char path[64], bytes[4096];
    struct text text = TEXT(path);
    int killed = 0, pid = 0, n;
    text_add(&text, "/proc/self/task/");
    text_number(&text, SYS(SYS_getpid));
    text_add(&text, "/children");
    OWNED_FD file = SYS(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0) return 0;
    while ((n = SYS(SYS_read, file, bytes, sizeof bytes)) > 0)
        for (int i = 0; i < n; i++) {
            if (bytes[i] >= '0' && bytes[i] <= '9') pid = pid * 10 + (bytes[i] - '0');
            else if (pid > 0) {
                if (SYS(SYS_kill, pid, SIGKILL) == 0) killed++;
                pid = 0;
            }
        }
    return killed;
}

void remains_end(void) {
    int status;
    for (;;) {
        int killed = kill_children();
        int pid = SYS(SYS_wait4, -1, &status, killed > 0 ? 0 : WNOHANG, NULL);
        while (pid > 0) pid = SYS(SYS_wait4, -1, &status, WNOHANG, NULL);
        /* None is left, or none that this process can find. */
        if (pid == -ECHILD || (pid == 0 && killed == 0)) return;
    }
}
