#include "nsfleet.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of the oldest build; 424 and above are the same on every architecture. */
#define CALL_LANDLOCK_CREATE_RULESET 444
#define ASK_FOR_VERSION 1u /* LANDLOCK_CREATE_RULESET_VERSION */

int nsf_landlock_abi(void) {
    long abi = syscall(CALL_LANDLOCK_CREATE_RULESET, NULL, (size_t)0, ASK_FOR_VERSION);
    return abi < 0 ? -errno : (int)abi;
}
