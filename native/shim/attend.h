/* One process with standard streams of the agent's: started, served over the control socket, killed when nobody listens any more. */
#ifndef NSFLEET_SHIM_ATTEND_H
#define NSFLEET_SHIM_ATTEND_H

#include "../plan.h"
#include "failure.h"

#include <stdint.h>

/* What the child does: it ends in execve, or in exec_failed(report). */
typedef void (*attended_fn)(const struct plan *plan, int report) __attribute__((noreturn));

/* Forks, which is what first shows in a PID namespace that was joined, then keeps these capabilities only. The process's exit status. */
int attend(const struct plan *plan, attended_fn child, uint64_t capabilities);

/* Gives up the agent's shield from the OOM killer. Before joining, while /proc is the host's. */
void be_killable(void);

/* Tells the agent; the process's exit status. */
int attend_failed(const struct failure *failure);

#endif
