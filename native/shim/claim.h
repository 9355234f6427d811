/* Ids that no other sandbox of this host has. */
#ifndef NSFLEET_SHIM_CLAIM_H
#define NSFLEET_SHIM_CLAIM_H

#include "../plan.h"
#include "failure.h"

/* Claims the plan's uid ranges for as long as this process lives: agents on one host do not know of each other's sandboxes. The claim is an
 * abstract socket's name, which the kernel gives to one process of a network namespace and takes back when that ends, however it ends. One
 * mapped id needs no claim: it is its user's own. 0, or -errno with *failure filled: EADDRINUSE, another sandbox has the range. */
int claim_ids(const struct plan *plan, struct failure *failure);

#endif
