#include "holders.h"

/* The slot of PID, or the free one where it belongs; NULL: the table is full. */
static struct nsf_idle_process *slot_of(const struct nsf_search *search, int32_t pid) {
    uint32_t at = ((uint32_t)pid * 0x9e3779b9u >> 7) & search->idle_mask;
    for (uint32_t tries = 0; tries <= search->idle_mask; tries++) {
        struct nsf_idle_process *slot = &search->idle[(at + tries) & search->idle_mask];
        if (slot->pid == 0 || slot->pid == pid)
            return slot;
    }
    return NULL;
}

const struct nsf_idle_process *nsf_recall_idle(struct nsf_search *search, int32_t pid, const struct nsf_runs *runs) {
    if (!search->idle)
        return NULL;
    struct nsf_idle_process *slot = slot_of(search, pid);
    /* Of the last pass and no other: what this pass remembers may be of a try that had too little room, so nobody has its rows. */
    if (!slot || slot->pid == 0 || slot->pass + 1 != search->pass || !nsf_same_runs(&slot->runs, runs))
        return NULL;
    slot->pass = search->pass;
    return slot;
}

void nsf_remember_idle(struct nsf_search *search, int32_t pid, const struct nsf_runs *runs, uint32_t held) {
    if (!search->idle)
        return;
    struct nsf_idle_process *slot = slot_of(search, pid);
    if (!slot)
        return;
    if (slot->pid == 0) {
        if (search->found.head->idle_known >= search->idle_max)
            return;
        search->found.head->idle_known++;
        slot->pid = pid;
    }
    slot->runs = *runs;
    slot->pass = search->pass;
    slot->held = held;
}
