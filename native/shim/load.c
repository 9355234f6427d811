#include "load.h"

#include "sys.h"

#include <sys/mman.h>
#include <sys/stat.h>

int load_plan(struct plan *plan, enum plan_kind kind, struct failure *failure) {
    struct stat st;
    int result = sys_result(fstat(PLAN_FD, &st));
    if (result < 0) return fail(failure, result, -1, "plan", "fd 3");
    if (st.st_size <= 0 || st.st_size > (off_t)PLAN_SIZE_MAX) return fail(failure, EFBIG, -1, "plan", "size");
    /* A private copy: a file that someone can still write must not change under the checks. Freed by exit. */
    char *buffer = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer == MAP_FAILED) return fail(failure, ENOMEM, -1, "plan", "memory");
    for (off_t done = 0; done < st.st_size;) {
        ssize_t n = pread(PLAN_FD, buffer + done, (size_t)(st.st_size - done), done);
        if (n <= 0) return fail(failure, n < 0 ? errno : EIO, -1, "plan", "read");
        done += n;
    }
    close(PLAN_FD);
    if ((result = plan_decode(buffer, (size_t)st.st_size, plan)) < 0) return fail(failure, result, -1, "plan", "decode");
    return plan->kind == kind ? 0 : fail(failure, EBADMSG, -1, "plan", "kind");
}
