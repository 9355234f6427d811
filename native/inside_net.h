#ifndef NSF_INSIDE_NET_H
#define NSF_INSIDE_NET_H

#include "nsfleet.h"

/*
 * Counts what the network namespace of the calling task holds, into ROW; PEERS are all COUNT rows, whose net namespaces are asked for by
 * descriptor. For the child of nsf_call_in_child: raw system calls only. 0, or -errno with the step in ROW.
 */
int nsf_inside_net(struct nsf_inside *row, const struct nsf_inside *peers, uint32_t count);

#endif
