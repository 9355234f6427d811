#ifndef NSF_SCAN_PROCESS_H
#define NSF_SCAN_PROCESS_H

#include "scan_table.h"

/* One scan under way. */
struct nsf_walk {
    int proc;
    struct nsf_scan *head;
    struct nsf_process *processes;
    uint32_t process_max;
    struct nsf_table table;
};

/*
 * Reads the process NAME, a directory of procfs, into the next row. Whatever is wrong with the process itself is counted
 * and no error. -ENOSPC: no room for a namespace.
 */
int nsf_scan_process(struct nsf_walk *scan, const char *name, struct nsf_error *error);

#endif
