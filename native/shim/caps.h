#ifndef NSFLEET_SHIM_CAPS_H
#define NSFLEET_SHIM_CAPS_H

/* Empties the bounding and ambient sets: no execve gives a capability any more. 0 or -errno. */
int caps_forbid(void);

/* Empties the inheritable set, and keeps of the permitted ones only what changes ids. 0 or -errno. */
int caps_keep_ids(void);

/* Sets permitted and effective to this mask, inheritable to nothing. */
int caps_set(unsigned long long mask);

#define CAP_BIT(n) (1ull << (n))

#endif
