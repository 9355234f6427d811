/* Paths inside the new root, resolved by the kernel so that nothing in a hostile root leads out of it. */
#ifndef NSFLEET_SHIM_TARGET_H
#define NSFLEET_SHIM_TARGET_H

#include "interpret.h"

/* O_PATH descriptor of a path inside the root, or -errno. A symlink anywhere refuses with -ELOOP unless op has PF_SYMLINKS.
 * flags are added to O_PATH. */
int target_open(const struct work *work, const struct plan_op *op, const char *path, int flags);

/* O_PATH descriptor of the directory that holds path, and *name its last part. It is remembered, not the caller's to close: most operations
 * work in the directory of the one before. */
int target_parent(struct work *work, const struct plan_op *op, const char *path, const char **name);

/* Forgets it: something else may be there now. */
void target_forget(struct work *work);

/* Puts a detached mount onto path: a directory, created with PF_CREATE_DIRECTORY, or whatever is there, created with PF_CREATE_FILE. */
int target_attach(struct work *work, const struct plan_op *op, const char *path, int mount, int directory);

#endif
