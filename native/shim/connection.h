/* One peer that speaks the control protocol: lines of text, a bounded number of bytes each. */
#ifndef NSFLEET_SHIM_CONNECTION_H
#define NSFLEET_SHIM_CONNECTION_H

#include "failure.h"

enum { CONNECTIONS_MAX = 16, LINE_MAX_BYTES = 64 };

struct connection {
    int fd; /* -1: free */
    unsigned length;
    char line[LINE_MAX_BYTES];
};

enum request_type { REQUEST_UNKNOWN, REQUEST_SIGNAL, REQUEST_KILL, REQUEST_ACTIVE };

struct request {
    enum request_type type;
    int signal;
};

/* Reads what is there and calls each for every whole line. -1 when the peer is gone or sent a line that is too long; the caller
 * closes. */
int connection_read(struct connection *connection, void (*each)(void *context, struct connection *from, struct request request),
                        void *context);

/* Sends a line at once. A peer that does not read loses its connection, never holds up the sandbox. */
void connection_send(struct connection *connection, const char *line);

/* `ok`, or `error <errno> <step>`. result is 0 or -errno. */
void connection_answer(struct connection *connection, int result, const char *step);

/* `failed <errno> <op> <step> <detail>` */
void connection_send_failure(struct connection *connection, const struct failure *failure);

/* After the last word: reads and drops what the peer says until it hangs up, half a second at most. Hanging up first would make its next write
 * fail, and who writes may not read on after that: it would not hear why. */
void connection_hear_out(const struct connection *connection);

/* `running <init> <command>` */
void connection_send_running(struct connection *connection, int init, int command);

/* `exit <code> <signal>`; where there is more to tell also how many processes the kernel killed for want of memory, and what ended it */
void connection_send_exit(struct connection *connection, int code, int signal, int oom_kills, const char *ended_by);

#endif
