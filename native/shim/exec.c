#include "exec.h"

#include "caps.h"
#include "filter.h"
#include "signals.h"
#include "sys.h"
#include "text.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

enum { PATH_SIZE = 4096, REPORT_FD = 3 };

/* No command of a sandbox is the host's root, by whatever names and maps it came to that. */
static int is_host_root(const struct plan *plan, const struct person *person) {
    if (plan_outside_id(plan->uid_map, plan->uid_maps, person->uid) == 0 || plan_outside_id(plan->gid_map, plan->gid_maps, person->gid) == 0) return 1;
    for (unsigned i = 0; i < person->groups; i++)
        if (plan_outside_id(plan->gid_map, plan->gid_maps, person->group[i]) == 0) return 1;
    return 0;
}

/* Never as who is still root: an id that is not known is none. */
static int take_ids(const struct work *work, int keeps_capabilities) {
    const struct person *person = &work->person;
    int result;
    if (person->uid == PLAN_NO_ID || person->gid == PLAN_NO_ID) return -EINVAL;
    if (!keeps_capabilities && is_host_root(work->plan, person)) return -EPERM;
    if (work->capabilities != 0 && (result = SYS(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0)) < 0) return result;
    if (!work->plan->setgroups_deny && (result = SYS(SYS_setgroups, person->groups, person->group)) < 0) return result;
    if ((result = SYS(SYS_setresgid, person->gid, person->gid, person->gid)) < 0) return result;
    return SYS(SYS_setresuid, person->uid, person->uid, person->uid);
}

/* CVE-2024-21626: a working directory that was reached through a leaked descriptor lies outside the root; only getcwd(2)
 * itself tells ("(unreachable)/…"), and libc's wrapper would guess. */
static int enter_directory(const char *cwd) {
    char path[PATH_SIZE];
    if (cwd[0] != '/') return -EINVAL;
    int result = SYS(SYS_chdir, cwd);
    if (result < 0) return result;
    if ((result = SYS(SYS_getcwd, path, sizeof path)) < 0) return result;
    return path[0] == '/' ? 0 : -EXDEV;
}

static const char *search_path(const struct plan *plan) {
    for (unsigned i = 0; i < plan->envc; i++)
        if (strncmp(plan->envp[i], "PATH=", 5) == 0) return plan->envp[i] + 5;
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static const char *environment[PLAN_ARGS_MAX + 4];

static int is_set(const struct plan *plan, const char *variable) {
    size_t length = strcspn(variable, "=") + 1;
    for (unsigned i = 0; i < plan->envc; i++)
        if (strncmp(plan->envp[i], variable, length) == 0) return 1;
    return 0;
}

/* The plan's, and what the root's passwd says where the plan says nothing. */
static void gather_environment(const struct work *work) {
    const char *known[] = {work->person.home, work->person.name, work->person.shell};
    unsigned count = 0;
    for (; count < work->plan->envc; count++) environment[count] = work->plan->envp[count];
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i][0] != 0 && !is_set(work->plan, known[i])) environment[count++] = known[i];
    environment[count] = NULL;
}

static int execute(const struct plan *plan, const char *path) {
    return SYS(SYS_execve, path, (char *const *)plan->argv, (char *const *)environment);
}

/* As execvp(3), but inside the root, by the command's own PATH, and without its shell for what is no executable. */
static int search_and_execute(const struct plan *plan) {
    const char *name = plan->argv[0], *at = search_path(plan);
    size_t name_length = strlen(name);
    int denied = 0;
    if (strchr(name, '/') != NULL) return execute(plan, name);
    for (;;) {
        char path[PATH_SIZE];
        size_t length = strcspn(at, ":");
        if (length > 0 && length + name_length + 2 <= sizeof path) {
            memcpy(path, at, length);
            path[length] = '/';
            memcpy(path + length + 1, name, name_length + 1);
            int result = execute(plan, path);
            if (result == -EACCES) denied = 1;
            else if (result != -ENOENT && result != -ENOTDIR) return result;
        }
        if (at[length] == 0) return denied ? -EACCES : -ENOENT;
        at += length + 1;
    }
}

void exec_failed(int report, const struct failure *failure) {
    /* Under PIPE_BUF, so written whole or not at all. */
    SYS(SYS_write, report, failure, sizeof *failure);
    sys_exit(127);
}

int exec_report(int report, struct failure *failure) {
    int n = SYS(SYS_read, report, failure, sizeof *failure);
    if (n == -EAGAIN || n == -EINTR) return 0;
    if (n == 0) return 1;
    if (n != (int)sizeof *failure) fail(failure, n < 0 ? -n : EPROTO, -1, "exec", "report");
    return -1;
}

void exec_command(const struct work *work, int report, int flags) {
    const struct plan *plan = work->plan;
    struct failure failure;
    int result, kept = REPORT_FD;

    if (report != REPORT_FD) {
        if ((result = SYS(SYS_dup3, report, REPORT_FD, O_CLOEXEC)) < 0) {
            fail(&failure, result, -1, "report", "-");
            exec_failed(report, &failure);
        }
        report = REPORT_FD;
    }
    if (work->calls_channel >= 0 && (kept = SYS(SYS_dup3, work->calls_channel, REPORT_FD + 1, O_CLOEXEC)) < 0) {
        fail(&failure, kept, -1, "report", "calls");
        exec_failed(report, &failure);
    }
    signals_default();
    gather_environment(work);
    if ((result = SYS(SYS_setsid)) < 0) fail(&failure, result, -1, "setsid", "-");
    else if ((result = take_ids(work, (flags & EXEC_KEEP_CAPABILITIES) != 0)) < 0) fail(&failure, result, -1, "ids", "-");
    else if ((flags & EXEC_KEEP_CAPABILITIES) == 0 && (result = caps_give(work->capabilities, work->person.uid != 0)) < 0) fail(&failure, result, -1, "capabilities", "-");
    else if ((flags & EXEC_DIE_WITH_PARENT) != 0 && (result = SYS(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)) < 0)
        fail(&failure, result, -1, "death_signal", "-");
    else if ((result = enter_directory(plan->cwd)) < 0) fail(&failure, result, -1, "cwd", plan->cwd);
    else if ((result = sys_close_range(kept + 1)) < 0) fail(&failure, result, -1, "close_range", "-");
    else if (set_limits(plan, &failure) == 0 && filter_install(plan, kept > REPORT_FD ? kept : -1, &failure) == 0) fail(&failure, search_and_execute(plan), -1, "exec", plan->argv[0]);
    exec_failed(report, &failure);
}
