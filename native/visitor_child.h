#ifndef NSF_VISITOR_CHILD_H
#define NSF_VISITOR_CHILD_H

#include <limits.h>
#include <stdint.h>

enum { NSF_VISIT_ENTER, NSF_VISIT_OPEN, NSF_VISIT_COPY, NSF_VISIT_UNMOUNT };

/* Between a visitor and its parent, in one memory. The parent writes and raises `asked`; the child answers, then lets `answered` follow. */
struct nsf_visit {
    uint32_t asked; /* a futex */
    uint32_t answered; /* a futex */
    int32_t parent;
    int32_t mount_ns;
    int32_t step;
    int32_t result;
    char path[PATH_MAX];
};

/* The child's whole life. ARG is a struct nsf_visit. Ends when its parent thread ends, or by SIGKILL. */
int nsf_visitor_child(void *arg);

#endif
