#include "load.h"

#include "sys.h"

/* A private copy: a file that someone can still write must not change under the checks. One byte more than a plan may have tells
 * of a larger one. Only what a plan fills is ever touched. */
static char buffers[2][PLAN_SIZE_MAX + 1];

int load_plan(struct plan *plan, enum plan_kind kind, struct failure *failure) {
    static unsigned used;
    char *buffer = buffers[used++];
    const size_t room = sizeof buffers[0];
    size_t size = 0;
    int n, result;
    do {
        n = SYS(SYS_pread64, PLAN_FD, buffer + size, room - size, size);
        if (n < 0) return fail(failure, n, -1, "plan", "read");
        size += (size_t)n;
    } while (n > 0 && size < room);
    if (size == 0 || size > PLAN_SIZE_MAX) return fail(failure, EFBIG, -1, "plan", "size");
    sys_close(PLAN_FD);
    if ((result = plan_decode(buffer, size, plan)) < 0) return fail(failure, result, -1, "plan", "decode");
    return plan->kind == kind ? 0 : fail(failure, EBADMSG, -1, "plan", "kind");
}
