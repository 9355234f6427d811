#include "child_call.h"
#include "error.h"
#include "inside_net.h"
#include "nsfs.h"
#include "raw_syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/utsname.h>

#define UNSANITIZED __attribute__((no_sanitize("address", "undefined")))

struct look {
    struct nsf_inside *rows;
    uint32_t count;
};

UNSANITIZED static int fail(struct nsf_inside *row, const char *step, long result) {
    for (size_t i = 0; i + 1 < sizeof row->step && step[i] != 0; i++)
        row->step[i] = step[i];
    return (int)result;
}

UNSANITIZED static void copy_text(char *out, size_t bytes, const char *text) {
    size_t i = 0;
    for (; i + 1 < bytes && text[i] != 0; i++)
        out[i] = text[i];
    out[i] = 0;
}

UNSANITIZED static int look_uts(struct nsf_inside *row) {
    struct utsname name;
    long result = nsf_raw(SYS_uname, (long)&name, 0, 0, 0, 0);
    if (result < 0)
        return fail(row, "uname", result);
    copy_text(row->hostname, sizeof row->hostname, name.nodename);
    /* The kernel says (none) where nothing was set. */
    copy_text(row->domainname, sizeof row->domainname, name.domainname);
    return 0;
}

/* /proc/<pid>/cgroup of a member, as a task in that cgroup namespace reads it: relative to its root. */
UNSANITIZED static int look_cgroup(struct nsf_inside *row) {
    if (row->cgroup_fd < 0)
        return fail(row, "member", -ESRCH);
    long bytes = nsf_raw(SYS_pread64, row->cgroup_fd, (long)row->cgroup, sizeof row->cgroup, 0, 0);
    if (bytes < 0)
        return fail(row, "read_cgroup", bytes);
    row->cgroup_bytes = (uint32_t)bytes;
    return 0;
}

UNSANITIZED static int look_one(struct nsf_inside *row, const struct look *look) {
    static const int flags[NSF_TYPES] = {[NSF_UTS] = CLONE_NEWUTS, [NSF_NET] = CLONE_NEWNET, [NSF_CGROUP] = CLONE_NEWCGROUP};
    long result = nsf_raw(SYS_setns, row->fd, flags[row->type], 0, 0, 0);
    if (result < 0)
        return fail(row, "setns", result);
    switch (row->type) {
    case NSF_UTS:
        return look_uts(row);
    case NSF_NET:
        return nsf_inside_net(row, look->rows, look->count);
    default:
        return look_cgroup(row);
    }
}

UNSANITIZED static int look_at_all(void *arg) {
    const struct look *look = arg;
    for (uint32_t i = 0; i < look->count; i++)
        if (look->rows[i].wanted && look->rows[i].result == 0)
            look->rows[i].result = look_one(&look->rows[i], look);
    return 0;
}

/* Before anybody joins anything: the descriptor is that namespace and no other. */
static int verify(struct nsf_inside *row) {
    struct nsf_nsfs about;
    if (row->type != NSF_UTS && row->type != NSF_NET && row->type != NSF_CGROUP)
        return fail(row, "type", -EINVAL);
    int type = nsf_nsfs_type(row->fd);
    int result = type < 0 ? type : nsf_nsfs_identify(row->fd, &about);
    if (result < 0)
        return fail(row, "identify", result);
    if (type != row->type || about.inode != row->inode || (row->id != 0 && about.id != row->id))
        return fail(row, "identify", -ESTALE);
    return 0;
}

int nsf_inside(struct nsf_inside *rows, uint32_t count, struct nsf_error *error) {
    struct look look = {rows, count};
    if (count > NSF_INSIDE_ROWS)
        return nsf_fail(error, E2BIG, "rows", NULL);
    for (uint32_t i = 0; i < count; i++)
        rows[i].result = verify(&rows[i]);
    return nsf_call_in_child(look_at_all, &look, error);
}
