/*
 * Threads that are elsewhere than their process: one in a network namespace of its own, one with a table of descriptors of its own, one
 * like its process. Prints the ids of the first two and waits for the end of its input.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_barrier_t ready;
static long ids[2];

static void *stay(void *argument) {
    long which = (long)argument;
    static const int flags[] = {CLONE_NEWNET, CLONE_FILES, 0};
    if (flags[which] != 0 && unshare(flags[which]) != 0)
        perror("unshare");
    if (which < 2)
        ids[which] = syscall(SYS_gettid);
    pthread_barrier_wait(&ready);
    for (;;)
        pause();
    return NULL;
}

int main(void) {
    pthread_t thread;
    char byte;
    pthread_barrier_init(&ready, NULL, 4);
    for (long which = 0; which < 3; which++)
        pthread_create(&thread, NULL, stay, (void *)which);
    pthread_barrier_wait(&ready);
    printf("%ld %ld\n", ids[0], ids[1]);
    fflush(stdout);
    return (int)read(0, &byte, 1);
}
