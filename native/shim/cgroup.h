#ifndef NSFLEET_SHIM_CGROUP_H
#define NSFLEET_SHIM_CGROUP_H

/* CGROUP_FD, close-on-exec, where the agent gave a directory of cgroup v2 there; else -1, and nothing is open there any more. */
int cgroup_given(void);

/* How many processes the kernel has killed in this cgroup for want of memory (memory.events, Linux 4.13). 0 where it has no memory
 * controller, or is -1. */
int oom_kills_of(int cgroup);

#endif
