#ifndef NSF_SPAWN_CHILD_H
#define NSF_SPAWN_CHILD_H

#include <stdint.h>

#define NSF_SPAWN_STRINGS_MAX 64
#define NSF_SPAWN_FDS_MAX 64

/* Shared between nsf_spawn and its child, which run in one memory, the first waiting for the second. */
struct nsf_launch {
    int program;
    uint32_t fd_count;
    uint32_t flags;
    int fds[NSF_SPAWN_FDS_MAX];
    char *argv[NSF_SPAWN_STRINGS_MAX + 1];
    char *env[NSF_SPAWN_STRINGS_MAX + 1];
    /* Written by the child when a step fails. */
    const char *failed_step;
    int failed_errnum;
};

/* The child's whole life up to exec; returns only if a step failed. ARG is a struct nsf_launch. */
int nsf_spawn_child(void *arg);

#endif
