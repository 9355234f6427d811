#include "signals.h"

#include "sys.h"

#include <signal.h>

/* As the kernel has it; libc's struct sigaction differs. */
struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

#if defined(__x86_64__)
/* The one architecture whose kernel does not bring its own way back from a handler. */
#define KERNEL_SA_RESTORER 0x04000000ul
void signals_return(void);
__asm__(".text\n"
        ".hidden signals_return\n"
        ".type signals_return, @function\n"
        "signals_return:\n"
        "    movl $15, %eax\n" /* SYS_rt_sigreturn */
        "    syscall\n"
        ".size signals_return, .-signals_return\n");
#endif

volatile int signals_terminated;

static void terminate(int signal) {
    (void)signal;
    signals_terminated = 1;
}

static void set(int signal, void (*handler)(int)) {
    struct kernel_sigaction action = {.handler = handler};
#if defined(__x86_64__)
    action.flags = KERNEL_SA_RESTORER;
    action.restorer = signals_return;
#endif
    SYS(SYS_rt_sigaction, signal, &action, NULL, sizeof action.mask);
}

static void set_mask(uint64_t mask) {
    SYS(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}

void signals_supervise(void) {
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE};
    for (unsigned i = 0; i < sizeof ignored / sizeof *ignored; i++) set(ignored[i], SIG_IGN);
    set(SIGTERM, terminate);
    set(SIGCHLD, SIG_DFL);
    set_mask(1ull << (SIGTERM - 1));
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
    set_mask(~0ull);
}
