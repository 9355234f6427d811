#include "holders.h"

#include "owned_fd.h"
#include "proc_text.h"

#include <string.h>

int nsf_read_runs(int proc, const char *name, struct nsf_runs *runs) {
    char path[32];
    char text[96]; /* three numbers of at most 20 digits */
    size_t bytes = strnlen(name, sizeof path - sizeof "/schedstat");
    memcpy(path, name, bytes);
    memcpy(path + bytes, "/schedstat", sizeof "/schedstat");
    NSF_OWNED_FD file = openat(proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text);
    return length <= 0 ? 0 : nsf_parse_runs(text, (size_t)length, runs);
}

static struct nsf_idle_process *slot_of(const struct nsf_search *search, int32_t pid) {
    uint32_t at = ((uint32_t)pid * 0x9e3779b9u >> 7) & search->idle_mask;
    while (search->idle[at].pid != 0 && search->idle[at].pid != pid)
        at = (at + 1) & search->idle_mask;
    return &search->idle[at];
}

int nsf_recall_idle(struct nsf_search *search, int32_t pid, const struct nsf_runs *runs) {
    if (!search->idle)
        return 0;
    struct nsf_idle_process *slot = slot_of(search, pid);
    if (slot->pid == 0 || slot->pass + 1 < search->pass || slot->runs != runs->runs || slot->ran_ns != runs->ran_ns ||
        slot->waited_ns != runs->waited_ns)
        return 0;
    slot->pass = search->pass;
    return 1;
}

void nsf_remember_idle(struct nsf_search *search, int32_t pid, const struct nsf_runs *runs) {
    if (!search->idle)
        return;
    struct nsf_idle_process *slot = slot_of(search, pid);
    if (slot->pid == 0) {
        if (search->found.head->idle_known >= search->idle_max)
            return;
        search->found.head->idle_known++;
        slot->pid = pid;
    }
    slot->ran_ns = runs->ran_ns;
    slot->waited_ns = runs->waited_ns;
    slot->runs = runs->runs;
    slot->pass = search->pass;
}
