/* Namespaces that are there already, each by a descriptor of its own. */
#ifndef NSFLEET_SHIM_JOINS_H
#define NSFLEET_SHIM_JOINS_H

#include "../plan.h"
#include "failure.h"

/* Joins the namespace that fd is open on, if it is the one that the plan names, and closes fd. 0, or -errno with failure filled; -ESTALE:
 * another one. This process is not dumpable afterwards. */
int joins_enter(const struct plan_join *join, int fd, struct failure *failure);

/* All of the plan's, in its order, from descriptors first_fd, first_fd + 1, … */
int joins_enter_all(const struct plan *plan, int first_fd, struct failure *failure);

/* "net" for CLONE_NEWNET. */
const char *joins_name(uint32_t flag);

#endif
