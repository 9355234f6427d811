#ifndef NSF_NS_LINK_H
#define NSF_NS_LINK_H

#include <stddef.h>
#include <stdint.h>

/*
 * The text of a link to a namespace, "net:[4026531840]", which is also the root of its mount in mountinfo. Returns the type (enum nsf_type) or -1
 * if it reads otherwise.
 */
int nsf_parse_ns_link(const char *text, size_t bytes, uint64_t *inode);

/* "socket:[123]" likewise: 1 and its inode, or 0. */
int nsf_parse_socket_link(const char *text, size_t bytes, uint64_t *inode);

#endif
