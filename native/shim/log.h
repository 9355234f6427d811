/* A stream of the sandbox, from its pipe into a file of the state directory, rotated once at a limit. */
#ifndef NSFLEET_SHIM_LOG_H
#define NSFLEET_SHIM_LOG_H

#include <stdint.h>

struct log {
    const char *name, *rotated; /* stdout.log, stdout.log.1 */
    int state_fd, pipe, file;
    uint64_t size, size_max;
};

/* Opens (or goes on with) the file; size_max is to be set before it is written. 0 or -errno. */
int log_open(struct log *log, int state_fd, const char *name, const char *rotated);

/* Copies what the pipe holds, at most LOG_TURN bytes, so that one stream cannot keep the others waiting. 1: read something,
 * 0: nothing there now, -1: the last writer is gone and the pipe is closed. What the disk refuses is dropped: a full disk must
 * not stop the sandbox. */
int log_copy(struct log *log);

#endif
