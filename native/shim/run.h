/* `shim run`: one sandbox, from its plan to its exit. */
#ifndef NSFLEET_SHIM_RUN_H
#define NSFLEET_SHIM_RUN_H

#include "../plan.h"
#include "calls.h"
#include "connection.h"
#include "failure.h"
#include "life.h"
#include "log.h"

enum { LOGS = 2, STATE_STARTING = 0, STATE_RUNNING, STATE_FAILED };

struct run {
    struct plan *plan;
    char *mode; /* the first argument, which ps(1) shows */
    /* Ready: the first plan (prepare.h), what was made for it by operation and by slot, and whose files are to be given away. */
    struct plan *first;
    int made[PLAN_OPS_MAX], slot[PLAN_SLOTS_MAX];
    unsigned char given[PLAN_OPS_MAX];
    int state;
    int init_pid, init_pidfd;
    int command_pid, command_pidfd;
    int channel, report; /* to the inner half; the command's report pipe. -1 once done */
    int listener;
    int cgroup;                  /* its directory in cgroup v2, or -1 */
    int killed;                  /* a kill was asked for before the command ran */
    int exited, code, signal;    /* what the inner half told of the command's end */
    struct life life;
    int oom_kills;               /* how many processes of the sandbox the kernel killed for want of memory */
    struct calls calls;          /* what the command asks the kernel for, where that is wanted */
    struct log log[LOGS];
    struct connection connection[CONNECTIONS_MAX + 1]; /* the last is the agent's control socket */
    struct failure failure;
};

/* Makes the inner half, with these namespaces new. 0, or -errno with run->failure filled. */
int run_birth(struct run *run, uint64_t namespaces);

/* Ready: waits until the inner half is prepared, says `ready <init>`, and waits for a plan; takes another name, loads it and passes it on. Ends
 * this process where none will come. 0, or -errno with run->failure filled. */
int ready_await(struct run *run);

/* Ready, when all is made: waits for the agent's word that the command may run. Ends this process where none will come, with no trace of the
 * sandbox. 0, or -errno with run->failure filled. */
int ready_await_start(struct run *run);

/* From now on a ready one is as any other, also to who looks at it from outside. */
void ready_no_more(struct run *run, const char *name);

/* In the state directory: the logs, and shim.sock. 0, or -errno with run->failure filled. */
int run_open_logs(struct run *run);
int run_listen(struct run *run);

/* By the plan: takes the ids, maps them, does the host's operations and sends the inner half on. 0, or -errno with run->failure filled. */
int run_begin(struct run *run);

/* Kills and reaps an inner half that is not supervised (any more), and with it all that is in the sandbox. */
void run_abandon(struct run *run);

/* The inner half: becomes PID 1 of the sandbox. */
__attribute__((noreturn)) void inner_main(struct run *run, int channel, int report, const int output[LOGS]);

/* Waits for everything until the sandbox has ended, and tells of it. The process's exit status. */
int run_supervise(struct run *run);

/* Writes the file `exit` into the state directory, whole or not at all. 0 or -errno. */
int exit_file_write(int state_fd, const struct run *run);

/* Listens on shim.sock in the state directory. The fd or -errno. */
int listener_open(void);

#endif
