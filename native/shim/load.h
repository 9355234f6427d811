#ifndef NSFLEET_SHIM_LOAD_H
#define NSFLEET_SHIM_LOAD_H

#include "../plan.h"
#include "failure.h"

/* The descriptors that the agent gives, see ARCHITECTURE.md, "Spawn protocol". */
enum {
    PLAN_FD = 3, CONTROL_FD = 4, STATE_FD = 5 /* run */, TARGET_FD = 5 /* enter: a pidfd; join: the first namespace */,
    CGROUP_FD = 6 /* run, ready: the sandbox's directory in cgroup v2, where it has one; else anything else */,
    JOIN_FD = 7 /* run: the first namespace */
};

/* `ready` is given its first plan in PLAN_FD and nothing in STATE_FD; the real ones come later, to the same places. At most twice:
 * reads the plan from PLAN_FD, closes it, and checks that it is of this kind. 0 or -errno with failure filled. */
int load_plan(struct plan *plan, enum plan_kind kind, struct failure *failure);

#endif
