/* What a ready shim does before its plan comes: the operations of a first plan, which holds what the plans to come have in common
 * (agent/sandbox/ready-template.ts). Both halves do their side of it. */
#ifndef NSFLEET_SHIM_PREPARE_H
#define NSFLEET_SHIM_PREPARE_H

#include "interpret.h"
#include "run.h"

/* The outer half, before the clone: what needs the host's privilege, and every tmpfs. Those are made here, not inside, so that they can be
 * filled before any id is mapped. 0 or -errno with run->failure filled. */
int prepare_outer(struct run *run);

/* The inner half: all the rest, and pivots into it. 0 or -errno with *failure filled. */
int prepare_inner(struct run *run, struct work *work, struct failure *failure);

/* Whether two operations are the same in everything. */
int prepare_same(const struct plan_op *a, const struct plan_op *b);

/* When the plan is there, in both halves: marks as done what it has in common with the first one. 0: that is not all of the first one, nothing
 * is marked, and the plan begins anew in the namespaces that are there. */
int prepare_match(struct plan *plan, const struct plan *first);

/* The inner half of a plan that matches, or that does not. */
void prepare_continue(struct run *run, struct work *work);

/* The outer half: what was made becomes the property of the sandbox's root. 0 or -errno with run->failure filled. */
int prepare_give_away(struct run *run);

/* The outer half: closes what it kept for that. */
void prepare_close(struct run *run);

#endif
