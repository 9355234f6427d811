#ifndef NSF_FOUND_H
#define NSF_FOUND_H

#include "scan_table.h"

/* A buffer of struct nsf_found being filled. */
struct nsf_finding {
    struct nsf_found *head;
    struct nsf_reference *rows;
    uint32_t row_max;
    uint8_t *text;
    uint32_t text_max;
    struct nsf_table table;
};

/* Lays FINDING out in BUFFER. SHARE: how many searches share the descriptors that may be held open. -EINVAL: it is too small. */
int nsf_finding_start(struct nsf_finding *finding, const struct nsf_room *room, void *buffer, uint64_t bytes, uint32_t share);

/*
 * A new row, all zero but fd and mount_ns, which are -1; NULL when there is no room, which nsf_finding_end tells. TEXT may be NULL.
 */
struct nsf_reference *nsf_finding_add(struct nsf_finding *finding, int kind, int32_t ns, const void *text, size_t bytes);

/* Lets go of every namespace. RESULT, or -ENOSPC if some row or text did not fit. */
int nsf_finding_end(struct nsf_finding *finding, int result, struct nsf_error *error);

/* One more refused for one of the reasons that come by errno. ENOENT and ESRCH do not count: it ended. */
void nsf_finding_hide(struct nsf_finding *finding, int reason, int errnum);

/* True for what no search can go on with: too few descriptors, no memory, no room. */
int nsf_is_fatal(int result);

/*
 * Row of the namespace that a link with this text names ("net:[4026531840]"), or -ENOENT if it is not in the table; -EINVAL if the text is no
 * such link's. TYPE and INODE are what it names.
 */
int32_t nsf_finding_known(const struct nsf_finding *finding, const char *text, size_t bytes, int *type, uint64_t *inode);

/* Row of the namespace that is open at FD, an O_PATH descriptor that stays the caller's, or -errno; -EINVAL: it is none. */
int32_t nsf_finding_resolve(struct nsf_finding *finding, int fd);

#endif
