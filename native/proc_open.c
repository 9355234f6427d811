#include "error.h"
#include "owned_fd.h"
#include "proc_stat.h"

#include <fcntl.h>
#include <sys/vfs.h>

#define PROC_MAGIC 0x9fa0

int nsf_open_proc(const char *path, struct nsf_error *error) {
    struct statfs about;
    NSF_OWNED_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return nsf_fail_errno(error, "open_proc", path);
    if (fstatfs(fd, &about) != 0)
        return nsf_fail_errno(error, "check_proc", path);
    if (about.f_type != PROC_MAGIC)
        return nsf_fail(error, ENODEV, "check_proc", path);
    int kept = fd;
    fd = -1;
    return kept;
}
