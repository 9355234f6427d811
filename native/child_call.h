#ifndef NSF_CHILD_CALL_H
#define NSF_CHILD_CALL_H

#include "nsfleet.h"

/*
 * Runs FN(ARG) in a child that shares the caller's memory and waits for its end: whatever namespaces FN joins, the calling thread stays where
 * it is. FN may make system calls by nsf_raw only (errno is the caller's) and has 64 KiB of stack; descriptors that it opens go with it. 0, or
 * -errno of the clone.
 */
int nsf_call_in_child(int (*fn)(void *), void *arg, struct nsf_error *error);

#endif
