/* Paths inside the new root, resolved by the kernel so that nothing in a hostile root leads out of it. */
#ifndef NSFLEET_SHIM_TARGET_H
#define NSFLEET_SHIM_TARGET_H

#include "interpret.h"

/* O_PATH descriptor of a path inside the root, or -errno. A symlink anywhere refuses with -ELOOP unless op has PF_SYMLINKS.
 * flags are added to O_PATH. */
int target_open(const struct work *work, const struct plan_op *op, const char *path, int flags);

/* O_PATH descriptor of the directory that holds path, and *name its last part. */
int target_parent(const struct work *work, const struct plan_op *op, const char *path, const char **name);

/* A mount point: a directory, created with PF_CREATE_DIRECTORY, or whatever is there, created with PF_CREATE_FILE. */
int target_mount_point(const struct work *work, const struct plan_op *op, const char *path, int directory);

#endif
