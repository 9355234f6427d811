#ifndef NSFLEET_SHIM_MODES_H
#define NSFLEET_SHIM_MODES_H

#include "../plan.h"

/* `shim enter`: one process in a running sandbox, from the plan in PLAN_FD; its exit status. plan is where to decode it. */
int enter_main(struct plan *plan);

#endif
