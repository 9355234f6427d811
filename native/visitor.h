#ifndef NSF_VISITOR_H
#define NSF_VISITOR_H

#include "left_child.h"

/*
 * A child process that is in another mount namespace for us: it shares our memory, and nothing but its place and descriptors are its own, so that
 * no thread of the caller is ever anywhere else. Its mounts show in /proc/<pid>/mountinfo. What may wait for a file system that does not answer
 * (FUSE, a dead server) is done by it and given up after NSF_VISIT_MS.
 */
#define NSF_VISIT_MS 1000
#define NSF_VISIT_UNMOUNT_MS 5000 /* asks no file system, but waits its turn among thousands of mounts */

struct nsf_visit;
struct nsf_visit_namespace;

struct nsf_visitor {
    int32_t pid; /* 0: there is none */
    int32_t pidfd;
    int32_t lost; /* it did not answer: what it does now is unknown */
    struct nsf_left_child *room; /* or NULL */
    struct nsf_child_stack stack;
    struct nsf_visit *visit;
};

/* Of CLOCK_MONOTONIC. */
int64_t nsf_visitor_now_ms(void);

/*
 * A child in the mount namespace open at MOUNT_NS, or in this one if that is -1; or -errno; nsf_visitor_end in any case. -EBUSY: too many of LEFT do not
 * end. PROC: a descriptor of procfs, for nsf_visitor_find; or -1.
 */
int nsf_visitor_start(struct nsf_visitor *visitor, struct nsf_left_child *left, int mount_ns, int proc);
/* An O_PATH descriptor of PATH there, which may have no symbolic links; or -errno, -ETIMEDOUT if no answer came. */
int nsf_visitor_open(struct nsf_visitor *visitor, const char *path);
/* Takes the child into a copy of where it is, from which nothing is passed on to the original. */
int nsf_visitor_copy(struct nsf_visitor *visitor);
/* Takes off what is mounted at PATH. After nsf_visitor_copy only. */
int nsf_visitor_unmount(struct nsf_visitor *visitor, const char *path);
/* Finds the namespace WANTED at PATH, which is absolute: 0, -ESTALE if another file is there, or -errno. */
int nsf_visitor_find(struct nsf_visitor *visitor, const char *path, const struct nsf_visit_namespace *wanted);
/* Unmounts what nsf_visitor_find has found, wherever it is by now. */
int nsf_visitor_detach(struct nsf_visitor *visitor);
/* What the last call has done last, for errors. */
const char *nsf_visitor_doing(const struct nsf_visitor *visitor);
void nsf_visitor_end(struct nsf_visitor *visitor);

#endif
