#ifndef NSF_SCAN_TABLE_H
#define NSF_SCAN_TABLE_H

#include "nsfleet.h"

#include <fcntl.h>
#include <stddef.h>

/* The namespaces of one scan: rows in order of first sight, found by (type, inode) through open addressing. */
struct nsf_table {
    struct nsf_namespace *rows;
    int32_t *pins;   /* one open descriptor a row, or -1, or NSF_REMEMBERED */
    uint32_t *slots; /* row + 1, 0 is free */
    uint32_t count;
    uint32_t max;
    uint32_t mask; /* slots - 1, a power of two minus one, at least twice max */
    uint32_t pinned;
    uint32_t pin_max;
    uint32_t unpinned;
};

/*
 * Status flags of the descriptors that a table holds open, without any effect on them: by these a search of descriptors knows those of a scan, its
 * own or another agent's, which are gone a moment later. Set when they are opened where that is possible.
 */
#define NSF_PIN_FLAGS (O_APPEND | O_NONBLOCK)

/* A pin: the row is of an earlier pass, and the namespace is held by a process that was not read again. It may be gone by now. */
#define NSF_REMEMBERED (-2)

/* Slots for so many rows. */
uint32_t nsf_table_slots(uint32_t max);

/* Row of (type, inode), or -1. */
int32_t nsf_table_find(const struct nsf_table *table, int type, uint64_t inode);

/*
 * Row of row INDEX of OTHERS, which an earlier pass found and which is known to be there now; likewise its parent and owner. -ESTALE: the
 * table knows another namespace of that number. -ENOSPC: no room.
 */
int32_t nsf_table_remember(struct nsf_table *table, const struct nsf_namespace *others, int32_t index);

/*
 * Row of the namespace open at FD, which now belongs to the table. A new one is described and so are its parent and
 * owner, up to what the caller may see. -ENOSPC: no room. -ESTALE: the one that was remembered under its number has gone. Otherwise -errno.
 */
int32_t nsf_table_resolve(struct nsf_table *table, int type, int fd);

/* Row of a namespace that cannot be opened, so is known by its inode only: no id, no dev, no relatives. -ENOSPC: no room. */
int32_t nsf_table_note(struct nsf_table *table, int type, uint64_t inode);

/* Forgets all rows from COUNT on. */
void nsf_table_truncate(struct nsf_table *table, uint32_t count);
/* Lets go of every namespace. */
void nsf_table_unpin(struct nsf_table *table);

/* Counts PROCESS in each of its namespaces among ROWS, and makes it the leader where it has the lowest pid. */
void nsf_count_members(struct nsf_namespace *rows, const struct nsf_process *process);

#endif
