/* The socket between the two halves of `run`: one record a message, descriptors along with it. */
#ifndef NSFLEET_SHIM_CHANNEL_H
#define NSFLEET_SHIM_CHANNEL_H

#include "../plan.h"
#include "failure.h"

#include <stddef.h>

enum message_type {
    MESSAGE_GO = 1,   /* outer → inner: ids are mapped */
    MESSAGE_SLOTS,    /* outer → inner: the host's operations are done; slot[i] says which slot the i-th descriptor fills */
    MESSAGE_FAILED,   /* inner → outer: failure */
    MESSAGE_NOTE,     /* inner → outer: failure.step and .detail hold a note */
    MESSAGE_COMMAND,  /* the command's process → outer, before its execve: its pidfd, and by SCM_CREDENTIALS its pid */
    MESSAGE_EXITED,   /* inner → outer: code and signal of the command */
    MESSAGE_PREPARED, /* ready, inner → outer: it waits for a plan; with its root */
    MESSAGE_PLAN,     /* ready, outer → inner: the plan */
    MESSAGE_OPAQUE,   /* unpack, inner → outer: a directory that is to hide what lies below it */
    MESSAGE_CALLS,    /* the command's process → outer, before its execve: where its calls are told */
    MESSAGE_START     /* outer → inner: the command may run */
};

struct message {
    int type;
    int code, signal; /* -1 and 0: none */
    int slots;
    unsigned char slot[PLAN_SLOTS_MAX];
    struct failure failure;
};

/* The kernel takes flags of sendmsg(2) from the lower half of their register. A filter sees the upper half too, and lets through what has this
 * there: so the descriptor by which a filter tells of calls gets out of the process that it binds (agent/sandbox/seccomp/log.ts). */
#define CHANNEL_MARK 0x6e736600000000l

/* Sends a message with fds. 0 or -errno. */
int channel_send(int channel, const struct message *message, const int *fds, int count);

/* Receives one, at most PLAN_SLOTS_MAX fds into fds (close-on-exec), *count of them; *pid is the sender's pid in our
 * namespace (0 unless SO_PASSCRED is set). 1, 0 when the other side is gone, or -errno. flags as of recvmsg(2). */
int channel_receive(int channel, struct message *message, int *fds, int *count, int *pid, int flags);

/* Receives at most size bytes of a stream, with at most PLAN_SLOTS_MAX fds. Their number, 0 when the other side is gone, or -errno. */
int channel_receive_bytes(int socket, void *bytes, size_t size, int *fds, int *count);

#endif
