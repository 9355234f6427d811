/*
 * crowd N [sockets]: N idle processes, five to a set of all eight namespaces. Says "ready" when they are there; they end with their parent or by
 * the session's id. With "sockets" each holds its standard output, which is one of the host's network namespace.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static const int sets = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWTIME;

static void idle(void) {
    for (;;)
        pause();
}

/* What Node takes for a pipe is a socket, of the host's network namespace: all of the crowd would hold that, which is no host's way. */
static void let_go(void) {
    int nothing = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2; fd++)
        dup2(nothing, fd);
    close(nothing);
}

/* The first process of a set; the others are its children, of which the first is PID 1. */
static void lead(int others, int ready, int sockets) {
    if (unshare(sets) != 0) {
        perror("unshare");
        _exit(1);
    }
    if (!sockets)
        let_go();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < others; i++) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            idle();
        }
    }
    if (write(ready, "x", 1) != 1)
        _exit(1);
    idle();
}

int main(int argc, char **argv) {
    int left = argc > 1 ? atoi(argv[1]) : 0;
    int channel[2];
    char byte;
    /* A bench that is killed must not leave thousands of processes to everybody else. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (pipe(channel) != 0)
        return 1;
    while (left > 0) {
        int size = left < 5 ? left : 5;
        if (fork() == 0) {
            close(channel[0]);
            lead(size - 1, channel[1], argc > 2);
        }
        if (read(channel[0], &byte, 1) != 1)
            return 1;
        left -= size;
    }
    puts("ready");
    fflush(stdout);
    idle();
    return 0;
}
