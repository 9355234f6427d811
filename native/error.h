#ifndef NSF_ERROR_H
#define NSF_ERROR_H

#include "nsfleet.h"

/* Fills ERROR (which may be NULL) and returns -ERRNUM. */
int nsf_fail(struct nsf_error *error, int errnum, const char *step, const char *detail);

/* As nsf_fail, with errno. */
int nsf_fail_errno(struct nsf_error *error, const char *step, const char *detail);

#endif
