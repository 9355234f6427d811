#ifndef NSF_PROC_LIST_H
#define NSF_PROC_LIST_H

#include <stdint.h>

/* The entries of a directory of procfs whose names are numbers: processes, threads or descriptors. */
struct nsf_list {
    int dir;
    int errnum; /* why the list broke off, or 0 */
    long bytes;
    long at;
    char entries[32768] __attribute__((aligned(8)));
};

void nsf_list_start(struct nsf_list *list, int dir);
/* The next name, valid until the next call; NULL at the end. */
const char *nsf_list_next(struct nsf_list *list);

/* Whether a process is of the part PART of PARTS, each of which has its own thread. */
int nsf_is_in_part(const char *name, uint32_t part, uint32_t parts);

#endif
