#ifndef NSFLEET_SHIM_SIGNALS_H
#define NSFLEET_SHIM_SIGNALS_H

/* Set by SIGTERM, which ends what this shim parents. */
extern __attribute__((visibility("hidden"))) volatile int signals_terminated;

/* As the parent of a sandbox: SIGHUP, SIGINT, SIGQUIT and SIGPIPE are ignored. SIGTERM is blocked but in signals_poll, so that none
 * is missed between looking and waiting; it sets signals_terminated. */
void signals_supervise(void);

struct pollfd;

/* poll(2) without a time limit that SIGTERM interrupts. The number of ready ones, or -errno. */
int signals_poll(struct pollfd *polled, unsigned count);

/* As a command expects them: nothing ignored, nothing blocked. */
void signals_default(void);

/* As PID 1: everything blocked (SIGKILL and SIGSTOP of the parent namespace reach it all the same). */
void signals_block(void);

#endif
