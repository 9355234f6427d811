#include "error.h"

#include <errno.h>
#include <string.h>

static void copy_cut(char *out, size_t bytes, const char *text) {
    size_t length = text ? strnlen(text, bytes - 1) : 0;
    if (length > 0)
        memcpy(out, text, length);
    memset(out + length, 0, bytes - length);
}

int nsf_fail(struct nsf_error *error, int errnum, const char *step, const char *detail) {
    if (error) {
        error->errnum = errnum;
        copy_cut(error->step, sizeof error->step, step);
        copy_cut(error->detail, sizeof error->detail, detail);
    }
    return -errnum;
}

int nsf_fail_errno(struct nsf_error *error, const char *step, const char *detail) {
    return nsf_fail(error, errno, step, detail);
}
