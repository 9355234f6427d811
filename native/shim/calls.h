/* What system calls a command makes, told by the kernel to this process one by one (seccomp_unotify(2)), written down once each. */
#ifndef NSFLEET_SHIM_CALLS_H
#define NSFLEET_SHIM_CALLS_H

#include <stdint.h>

enum { CALLS_NUMBERS = 1024, CALLS_TOLD_MAX = 256 };

struct calls {
    int listener; /* -1: nothing is listened to */
    int file;
    uint8_t seen[CALLS_NUMBERS / 8];
    /* Of the few calls of which some uses are refused: which ones. Full: further uses of them are left out. */
    struct called {
        uint32_t number, argument[3];
    } told[CALLS_TOLD_MAX];
    unsigned tolds;
};

/* Begins to listen, and takes the descriptor. What is heard goes to the file `calls` in the state directory: `<number> <three arguments>` in
 * decimal, a line each. 0 or -errno: then nothing is written, but every call is let through all the same. */
int calls_begin(struct calls *calls, int listener, int state_fd);

/* Lets through what waits. Stops listening when nobody is left who could call. */
void calls_hear(struct calls *calls);

#endif
