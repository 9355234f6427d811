/* The filter of system calls that a plan carries. */
#ifndef NSFLEET_SHIM_FILTER_H
#define NSFLEET_SHIM_FILTER_H

#include "../plan.h"
#include "failure.h"

/* Binds this process, and all that it becomes, to the plan's filters. Of what the shim does itself afterwards every profile allows: execve,
 * write, exit_group; in PID 1 wait4, sendmsg. A filter that only tells of calls is for the command alone: channel is where the descriptor that
 * it tells by is sent to, -1: no such filter. 0, or -errno with *failure filled. */
int filter_install(const struct plan *plan, int channel, struct failure *failure);

#endif
