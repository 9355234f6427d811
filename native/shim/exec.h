/* The last steps of a command, the same for the first process of a sandbox and for one that enters it. */
#ifndef NSFLEET_SHIM_EXEC_H
#define NSFLEET_SHIM_EXEC_H

#include "../plan.h"
#include "failure.h"
#include "interpret.h"

enum exec_flag {
    EXEC_DIE_WITH_PARENT = 1,
    EXEC_KEEP_CAPABILITIES = 2 /* a tool of the host's among chosen namespaces, not a command of a sandbox */
};

/* Own session, the command's ids, no capability but those that it keeps, its directory, no descriptor but 0, 1, 2, its limits and its
 * filter: then execve. Writes a struct failure
 * to report (a close-on-exec pipe, whose closing tells of success) and exits 127 where any of it fails. */
__attribute__((noreturn)) void exec_command(const struct work *work, int report, int flags);

/* Writes the failure to a report pipe and exits 127. */
__attribute__((noreturn)) void exec_failed(int report, const struct failure *failure);

/* Reads what a report pipe tells: 1 the command runs, 0 not yet known, -1 failed (failure is filled). */
int exec_report(int report, struct failure *failure);

#endif
