#ifndef NSFLEET_SHIM_LIFE_H
#define NSFLEET_SHIM_LIFE_H

#include "../plan.h"

/* What may end a sandbox though nobody asks for it, with agent and controller both gone: operations `lifetime` of the plan. */
enum life_limit { LIFE_TTL, LIFE_IDLE, LIFE_DEADLINE, LIFE_LIMITS };
enum { LIFE_GRACE = LIFE_LIMITS, LIFE_TIMERS };

struct life {
    int timer[LIFE_TIMERS]; /* timerfds; -1: none */
    int signal;             /* the stop signal, and how long it has to work */
    uint64_t grace_ms, idle_ms;
    int ended_by;           /* a life_limit, or -1 */
};

void life_init(struct life *life);

/* The command runs: from now on time counts. 0 or -errno. */
int life_start(struct life *life, const struct plan *plan);

/* It did something, or something is done in it: it is not idle. */
void life_active(struct life *life);

/* What is to be done when timer[which] is readable: the signal to send to the command; SIGKILL is for the sandbox. 0: nothing. */
int life_expired(struct life *life, int which);

/* "ttl" … ; NULL where none ended it. */
const char *life_name(const struct life *life);

#endif
