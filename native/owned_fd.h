#ifndef NSF_OWNED_FD_H
#define NSF_OWNED_FD_H

#include <errno.h>
#include <unistd.h>

static inline void nsf_close_owned(int *fd) {
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
}

/* Closes at the end of its block unless set to -1 before. */
#define NSF_OWNED_FD __attribute__((cleanup(nsf_close_owned))) int

#endif
