#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int nsf_pipe(int32_t fds[2], struct nsf_error *error) {
    return pipe2(fds, O_CLOEXEC) == 0 ? 0 : nsf_fail_errno(error, "pipe2", NULL);
}

int nsf_socketpair(int32_t fds[2], struct nsf_error *error) {
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0 ? 0 : nsf_fail_errno(error, "socketpair", NULL);
}

int nsf_send_fds(int32_t socket, const void *bytes, uint32_t size, const int32_t *fds, uint32_t fd_count,
                 struct nsf_error *error) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int32_t) * NSF_SEND_FDS_MAX)];
    } control;
    struct iovec part = {(void *)(uintptr_t)bytes, size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (size == 0 || fd_count == 0 || fd_count > NSF_SEND_FDS_MAX)
        return nsf_fail(error, EINVAL, "descriptors", NULL);
    memset(&control, 0, sizeof control);
    header.msg_control = control.bytes;
    header.msg_controllen = CMSG_SPACE(sizeof(int32_t) * fd_count);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int32_t) * fd_count);
    memcpy(CMSG_DATA(rights), fds, sizeof(int32_t) * fd_count);
    ssize_t sent = sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return nsf_fail_errno(error, "sendmsg", NULL);
    return sent == (ssize_t)size ? 0 : nsf_fail(error, EAGAIN, "sendmsg", "short");
}

int nsf_receive(int32_t socket, void *bytes, uint32_t size, uint32_t *used, int32_t *fd, struct nsf_error *error) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int32_t))];
    } control;
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    *fd = -1;
    *used = 0;
    ssize_t received = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (received < 0)
        return nsf_fail_errno(error, "recvmsg", NULL);
    const struct cmsghdr *sent = CMSG_FIRSTHDR(&message);
    if (sent && sent->cmsg_level == SOL_SOCKET && sent->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(sent), sizeof *fd);
    *used = (uint32_t)received;
    return 0;
}

int nsf_open_dir(const char *path, int32_t *fd, struct nsf_error *error) {
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *fd >= 0 ? 0 : nsf_fail_errno(error, "open_dir", path);
}
