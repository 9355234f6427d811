#ifndef NSF_LEFT_CHILD_H
#define NSF_LEFT_CHILD_H

#include "child_stack.h"
#include "nsfleet.h"

/* How many of CHILDREN, the caller's memory, do not end still. The others are reaped. */
int nsf_left_child_count(struct nsf_left_child *children);

/* Room in CHILDREN for one that may have to be left behind, or NULL: too many do not end. Given back by one of the two below. */
struct nsf_left_child *nsf_left_child_room(struct nsf_left_child *children);
void nsf_left_child_free(struct nsf_left_child *room);
/* It stands on STACK still. */
void nsf_left_child_leave(struct nsf_left_child *room, const struct nsf_child_stack *stack, int32_t pidfd);

/* 1: the child behind PIDFD has ended within MS milliseconds and is reaped. */
int nsf_left_child_ended(int32_t pidfd, int ms);

#endif
