#ifndef NSF_SCAN_TABLE_H
#define NSF_SCAN_TABLE_H

#include "nsfleet.h"

#include <stddef.h>

/* The namespaces of one scan: rows in order of first sight, found by (type, inode) through open addressing. */
struct nsf_table {
    struct nsf_namespace *rows;
    int32_t *pins;   /* one open descriptor a row, or -1 */
    uint32_t *slots; /* row + 1, 0 is free */
    uint32_t count;
    uint32_t max;
    uint32_t mask; /* slots - 1, a power of two minus one, at least twice max */
    uint32_t pinned;
    uint32_t pin_max;
    uint32_t unpinned;
};

/* Slots for so many rows. */
uint32_t nsf_table_slots(uint32_t max);

/* Row of (type, inode), or -1. */
int32_t nsf_table_find(const struct nsf_table *table, int type, uint64_t inode);

/*
 * Row of the namespace open at FD, which now belongs to the table. A new one is described and so are its parent and
 * owner, up to what the caller may see. -ENOSPC: no room. Otherwise -errno.
 */
int32_t nsf_table_resolve(struct nsf_table *table, int type, int fd);

/* Forgets all rows from COUNT on. */
void nsf_table_truncate(struct nsf_table *table, uint32_t count);
/* Lets go of every namespace. */
void nsf_table_unpin(struct nsf_table *table);

#endif
