/*
 * Tells on descriptor 1 what it was started with, one "name value" a line, then ends as argv[1] says: "exit N",
 * "signal N" or "wait" (until it is killed).
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void tell_descriptors(void) {
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        struct stat about;
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(dir) || fstat(fd, &about) != 0)
            continue;
        printf("fd %d %lu:%lu\n", fd, (unsigned long)about.st_dev, (unsigned long)about.st_ino);
    }
    if (dir)
        closedir(dir);
}

static void tell_signals(void) {
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "SigBlk", 6) == 0 || strncmp(line, "SigIgn", 6) == 0 || strncmp(line, "SigCgt", 6) == 0)
            printf("%.6s %s", line, line + 8);
    if (status)
        fclose(status);
}

int main(int argc, char **argv, char **env) {
    for (int i = 0; i < argc; i++)
        printf("arg %s\n", argv[i]);
    for (int i = 0; env[i]; i++)
        printf("env %s\n", env[i]);
    printf("leads %d\n", getsid(0) == getpid());
    tell_descriptors();
    tell_signals();
    fflush(stdout);
    close(1);
    if (argc > 2 && strcmp(argv[1], "signal") == 0)
        kill(getpid(), atoi(argv[2]));
    while (argc > 1 && strcmp(argv[1], "wait") == 0)
        pause();
    return argc > 2 ? atoi(argv[2]) : 0;
}
