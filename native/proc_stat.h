#ifndef NSF_PROC_STAT_H
#define NSF_PROC_STAT_H

#include "nsfleet.h"

#include <stddef.h>
#include <stdint.h>

struct nsf_stat {
    int32_t pid;
    int32_t ppid;
    uint64_t start_ticks;
    uint64_t threads;
    char state;
    uint8_t comm_bytes;
    char comm[16];
};

/*
 * Parses the text of /proc/<pid>/stat (proc_pid_stat(5)). comm is whatever the process likes, with brackets, spaces and
 * newlines: it ends at the *last* ')'. Returns 0 or -EINVAL.
 */
int nsf_parse_stat(const char *text, size_t bytes, struct nsf_stat *out);

/* Reads and parses "stat" below the directory DIR; PATH is "stat" or "<pid>/stat". 0 or -errno; -ESRCH if it ended. */
int nsf_read_stat(int dir, const char *path, struct nsf_stat *out);

/* A descriptor of the procfs at PATH, or -errno with ERROR filled; -ENODEV: it is none. */
int nsf_open_proc(const char *path, struct nsf_error *error);

#endif
