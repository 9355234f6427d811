/* A sandbox whose pid namespace is not its own: the kernel does not end what its command has left there. */
#ifndef NSFLEET_SHIM_REMAINS_H
#define NSFLEET_SHIM_REMAINS_H

#include "../plan.h"

/* True where the kernel does not: every process of the sandbox then becomes a child of this one when its parent ends. */
int remains_possible(const struct plan *plan);

/* In PID 1's stead: adopts, from now on. 0 or -errno. */
int remains_adopt(void);

/*
 * After the command was started: out of reach of what runs in the sandbox, which has no id of this process any more, and told by SIGTERM instead of
 * killed when the outer half dies. 0 or -errno.
 */
int remains_prepare(const struct plan *plan);

/* Waits for the next child's end or for SIGTERM. The pid with *status, 0: told to end, or -ECHILD: no child is left. */
int remains_wait(int *status);

/* Kills and reaps all descendants. */
void remains_end(void);

#endif
