/* `shim run`: one sandbox, from its plan to its exit. */
#ifndef NSFLEET_SHIM_RUN_H
#define NSFLEET_SHIM_RUN_H

#include "../plan.h"
#include "connection.h"
#include "failure.h"
#include "log.h"

enum { LOGS = 2, STATE_STARTING = 0, STATE_RUNNING, STATE_FAILED };

struct run {
    const struct plan *plan;
    int state;
    int init_pid, init_pidfd;
    int command_pid, command_pidfd;
    int channel, report; /* to the inner half; the command's report pipe. -1 once done */
    int listener;
    int killed;                  /* a kill was asked for before the command ran */
    int exited, code, signal;    /* what the inner half told of the command's end */
    struct log log[LOGS];
    struct connection connection[CONNECTIONS_MAX + 1]; /* the last is the agent's control socket */
    struct failure failure;
};

/* Makes the inner half, maps its ids, does the host's operations and sends it on. 0, or -errno with run->failure filled; then
 * what was started is already killed and reaped. */
int run_birth(struct run *run);

/* The inner half: becomes PID 1 of the sandbox. */
__attribute__((noreturn)) void inner_main(const struct plan *plan, int channel, int report, const int output[LOGS]);

/* Waits for everything until the sandbox has ended, and tells of it. The process's exit status. */
int run_supervise(struct run *run);

/* Writes the file `exit` into the state directory, whole or not at all. 0 or -errno. */
int exit_file_write(int state_fd, int code, int signal);

/* Listens on shim.sock in the state directory. The fd or -errno. */
int listener_open(void);

#endif
