#ifndef NSF_VISITOR_CHILD_H
#define NSF_VISITOR_CHILD_H

#include <limits.h>
#include <stdint.h>

enum { NSF_VISIT_ENTER, NSF_VISIT_OPEN, NSF_VISIT_COPY, NSF_VISIT_UNMOUNT, NSF_VISIT_FIND, NSF_VISIT_DETACH };

/* A namespace that is looked for. */
struct nsf_visit_namespace {
    uint64_t id; /* 0: not compared */
    uint64_t inode;
    uint64_t dev; /* of nsfs */
};

/* Between a visitor and its parent, in one memory. The parent writes and raises `asked`; the child answers, then lets `answered` follow. */
struct nsf_visit {
    uint32_t asked; /* a futex */
    uint32_t answered; /* a futex */
    int32_t parent;
    int32_t mount_ns; /* or -1: it stays where it is */
    int32_t proc;     /* the host's procfs, its working directory then, as a mount namespace may have none or a faked one; or -1 */
    int32_t step;
    int32_t result;
    struct nsf_visit_namespace wanted; /* of NSF_VISIT_FIND */
    const char *doing;                 /* what it may be waiting for */
    char path[PATH_MAX];
};

/* The child's whole life. ARG is a struct nsf_visit. Ends when its parent thread ends, or by SIGKILL. */
int nsf_visitor_child(void *arg);

#endif
