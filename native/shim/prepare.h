/* What an inner half that is ready before its plan does beforehand, and the parts of operations that it does it with. */
#ifndef NSFLEET_SHIM_PREPARE_H
#define NSFLEET_SHIM_PREPARE_H

#include "interpret.h"

/* Lets go of the host's mounts, makes a procfs, brings lo up and forbids capabilities. 0 or -errno with *failure filled. */
int prepare(struct work *work, struct failure *failure);

/* Every mount of this namespace private: nothing spreads out or in. */
int make_all_private(void);

/* A new tmpfs: mode, a = bytes, b = inodes. The detached mount's fd or -errno. */
int make_tmpfs(const struct plan_op *op);

/* A procfs of this PID namespace, detached. Its fd or -errno. */
int make_proc(const struct plan_op *op);

/* Puts a mount over the root, and detaches the old one. */
int replace_root(int root);

/* Attaches a mount on top of the root: no mount point has to exist, and paths from / still name the old one. */
int put_over_root(int mount);

int loopback_up(void);

#endif
