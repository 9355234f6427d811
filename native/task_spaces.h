#ifndef NSF_TASK_SPACES_H
#define NSF_TASK_SPACES_H

#include "nsfleet.h"
#include "task_records.h"

/* What a namespace's row has no room for: its own key, and whom it means by owner and parent until all rows are known. */
struct nsf_space_keys {
    uint64_t key;
    uint64_t owner;
    uint64_t parent;
};

/* The namespaces of one task pass, found by their key through open addressing. */
struct nsf_spaces {
    struct nsf_namespace *rows;
    struct nsf_space_keys *keys;
    uint32_t *slots; /* row + 1, 0 is free; nsf_table_slots(max) of them */
    uint64_t dev;    /* of nsfs */
    uint32_t count;
    uint32_t max;
    uint32_t mask;
    uint32_t left_out; /* for want of rows */
};

/* Row of KEY, or -1; 0 is no key. */
int32_t nsf_spaces_find(const struct nsf_spaces *spaces, uint64_t key);
/* Takes a description up; a second one of the same namespace changes nothing. */
void nsf_spaces_add(struct nsf_spaces *spaces, const struct nsf_namespace_record *record);
/* Turns the keys of owners and parents into rows. A key that nothing described is out of sight: -1. */
void nsf_spaces_link(struct nsf_spaces *spaces);

#endif
