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
    /* An earlier pass, or NULL: nothing is remembered. Rows stand in the order of pids, as procfs lists them. */
    const struct nsf_scan *before;
    uint32_t before_at;
};

/*
 * Reads the process NAME, a directory of procfs, into the next row. Whatever is wrong with the process itself is counted
 * and no error. -ENOSPC: no room for a namespace.
 */
int nsf_scan_process(struct nsf_walk *scan, const char *name, struct nsf_error *error);

/* Divides BUFFER, which holds nsf_scan_bytes() for so many rows, and begins its struct nsf_scan. */
void nsf_scan_lay_out(struct nsf_walk *scan, void *buffer, uint32_t process_max, uint32_t namespace_max);

/* A quarter of the descriptors for PARTS scans together, so that the other threads of the caller never run out because of them. */
uint32_t nsf_pin_limit(uint32_t parts);

#endif
