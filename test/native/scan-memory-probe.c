/*
 * Passes of nsf_scan that go by an earlier one. Prints how many of its siblings, which sleep, were remembered of how many, then what the library answers when the earlier
 * pass has another namespace under a number that a process which is read now has (the number passed on, and the process ended meanwhile).
 */
#include "nsfleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROCESSES 32768
#define NAMESPACES 32768

static const struct nsf_process *rows_of(const struct nsf_scan *scan) {
    return (const struct nsf_process *)(const void *)((const char *)scan + scan->process_offset);
}

int main(void) {
    uint64_t bytes = nsf_scan_bytes(PROCESSES, NAMESPACES);
    struct nsf_scan *before = calloc(1, bytes);
    struct nsf_scan *scan = calloc(1, bytes);
    struct nsf_error error;
    if (!before || !scan || nsf_scan("/proc", 0, 1, scan, PROCESSES, NAMESPACES, before, bytes, &error) != 0)
        return 1;
    if (nsf_scan("/proc", 0, 1, before, PROCESSES, NAMESPACES, scan, bytes, &error) != 0)
        return 2;
    unsigned remembered = 0, siblings = 0;
    int own = -1;
    for (uint32_t row = 0; row < scan->process_count; row++) {
        if (rows_of(scan)[row].ppid == getppid() && rows_of(scan)[row].pid != getpid()) {
            siblings++;
            remembered += (rows_of(scan)[row].flags & NSF_PROCESS_REMEMBERED) != 0;
        }
        if (rows_of(scan)[row].pid == getpid() && !(rows_of(scan)[row].flags & NSF_PROCESS_REMEMBERED))
            own = rows_of(scan)[row].ns[NSF_UTS];
    }
    if (own < 0)
        return 3;
    printf("%u of %u\n", remembered, siblings);
    struct nsf_namespace *spaces = (struct nsf_namespace *)(void *)((char *)scan + scan->namespace_offset);
    spaces[own].id++;
    int result = nsf_scan("/proc", 0, 1, scan, PROCESSES, NAMESPACES, before, bytes, &error);
    printf("%d %s\n", -result, error.step);
    /* What this process holds open now is what it held before. */
    printf("%d descriptors\n", dup(0));
    return 0;
}
