/* For each byte on stdin: a child that unshares its uts namespace and tells "<id> <monotonic ns when unshare returned> <pid>", and lives
 * until the next byte. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_GET_ID 0x8008b70du

static void child(void) {
    struct timespec now;
    uint64_t id = 0;
    if (unshare(CLONE_NEWUTS) != 0) _exit(1);
    clock_gettime(CLOCK_MONOTONIC, &now);
    int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, NS_GET_ID, &id) != 0) _exit(1);
    close(fd);
    printf("%llu %llu %d\n", (unsigned long long)id, (unsigned long long)now.tv_sec * 1000000000ull + (unsigned long long)now.tv_nsec,
           (int)getpid());
    fflush(stdout);
    for (;;) pause();
}

int main(void) {
    char byte;
    pid_t last = 0;
    while (read(0, &byte, 1) == 1) {
        if (last > 0) {
            kill(last, SIGKILL);
            waitpid(last, NULL, 0);
        }
        last = fork();
        if (last == 0) child();
    }
    if (last > 0) kill(last, SIGKILL);
    return 0;
}
