/* fork-storm <forks a second> <seconds>: children that end at once. Tells how many there were. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    double rate = atof(argv[1]), seconds = atof(argv[2]), start = now();
    long forks = 0;
    while (now() - start < seconds) {
        if ((double)forks > (now() - start) * rate) {
            usleep(200);
            continue;
        }
        pid_t pid = vfork();
        if (pid == 0) _exit(0);
        if (pid > 0) waitpid(pid, NULL, 0);
        forks++;
    }
    printf("%ld\n", forks);
    return 0;
}
