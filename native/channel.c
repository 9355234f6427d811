#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

int nsf_pipe(int32_t fds[2], struct nsf_error *error) {
    return pipe2(fds, O_CLOEXEC) == 0 ? 0 : nsf_fail_errno(error, "pipe2", NULL);
}

int nsf_socketpair(int32_t fds[2], struct nsf_error *error) {
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0 ? 0 : nsf_fail_errno(error, "socketpair", NULL);
}

int nsf_open_dir(const char *path, int32_t *fd, struct nsf_error *error) {
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *fd >= 0 ? 0 : nsf_fail_errno(error, "open_dir", path);
}
