/* Who the command is: what the plan says in numbers, and what the root's own files say of names. */
#ifndef NSFLEET_SHIM_PERSON_H
#define NSFLEET_SHIM_PERSON_H

#include "../plan.h"

#define PERSON_GROUPS_MAX 256u
#define PERSON_TEXT_MAX 1024u

struct person {
    uint32_t uid, gid; /* PLAN_NO_ID: not known yet */
    unsigned groups;
    uint32_t group[PERSON_GROUPS_MAX];
    /* HOME=…, USER=…, SHELL=…; empty: not known */
    char home[PERSON_TEXT_MAX], name[PERSON_TEXT_MAX], shell[PERSON_TEXT_MAX];
};

/* The plan's ids, and nothing else. */
void person_init(struct person *person, const struct plan *plan);

#endif
