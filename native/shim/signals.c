#include "signals.h"

#include "sys.h"

#include <signal.h>
#include <string.h>

volatile int signals_terminated;

static void terminate(int signal) {
    (void)signal;
    signals_terminated = 1;
}

static void set(int signal, void (*handler)(int)) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigaction(signal, &action, NULL);
}

static void set_mask(unsigned char byte) {
    uint64_t mask;
    memset(&mask, byte, sizeof mask);
    SYS(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}

void signals_supervise(void) {
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE};
    for (unsigned i = 0; i < sizeof ignored / sizeof *ignored; i++) set(ignored[i], SIG_IGN);
    set(SIGTERM, terminate);
    set(SIGCHLD, SIG_DFL);
    set_mask(0);
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
}

int signals_poll(struct pollfd *polled, unsigned count) {
    static const uint64_t nothing_blocked;
    return SYS(SYS_ppoll, polled, count, NULL, &nothing_blocked, sizeof nothing_blocked);
}

void signals_default(void) {
    static const int touched[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGCHLD};
    for (unsigned i = 0; i < sizeof touched / sizeof *touched; i++) set(touched[i], SIG_DFL);
    set_mask(0);
}

void signals_block(void) {
    set_mask(0xff);
}
