#ifndef NSFLEET_SHIM_MODES_H
#define NSFLEET_SHIM_MODES_H

#include "../plan.h"

/* `shim enter`: one process in a running sandbox, from the plan in PLAN_FD; its exit status. plan is where to decode it. */
int enter_main(struct plan *plan);

/* `shim join`: a command of the host's in namespaces that descriptors from TARGET_FD on stand for; its exit status. */
int join_main(struct plan *plan);

/* `shim keep`: new namespaces on files; the exit status. */
int keep_main(void);

/* `shim unpack`: a tree of files (unpack.h); the exit status. */
int unpack_main(void);

#endif
