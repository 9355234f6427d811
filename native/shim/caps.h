#ifndef NSFLEET_SHIM_CAPS_H
#define NSFLEET_SHIM_CAPS_H

#include <stdint.h>

/* Takes all but these out of the bounding set, and empties the ambient one: no execve gives another capability any more. 0 or -errno. */
int caps_forbid(uint64_t keep);

/* What the command has: permitted and effective, and for who is not root inheritable and ambient too, since execve would take them away. */
int caps_give(uint64_t mask, int ambient);

/* Sets permitted and effective to this mask, inheritable to nothing. */
int caps_set(uint64_t mask);

#define CAP_BIT(n) (1ull << (n))

#endif
