#include "channel.h"

#include "sys.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* struct ucred, whose libc definition needs _GNU_SOURCE in some and not in others. */
struct credentials {
    int32_t pid;
    uint32_t uid, gid;
};

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * PLAN_SLOTS_MAX) + CMSG_SPACE(sizeof(struct credentials))];
};

int channel_send(int channel, const struct message *message, const int *fds, int count) {
    struct iovec part = {(void *)(uintptr_t)message, sizeof *message};
    union control control;
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        memset(&control, 0, sizeof control);
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        if (rights == NULL) return -EINVAL;
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * (size_t)count);
    }
    int sent = SYS(SYS_sendmsg, channel, &header, MSG_NOSIGNAL | CHANNEL_MARK);
    return sent < 0 ? sent : 0;
}

/* As CMSG_NXTHDR, which is a function in some libcs. What it walks is the kernel's. */
static struct cmsghdr *next(const struct msghdr *header, struct cmsghdr *c) {
    size_t used = (size_t)((char *)c - (char *)header->msg_control) + CMSG_ALIGN(c->cmsg_len);
    return used + sizeof *c > header->msg_controllen ? NULL : (struct cmsghdr *)((char *)header->msg_control + used);
}

/* Bytes received, *cut where there was more of anything. */
static int receive(int from_fd, void *bytes, size_t size, int *fds, int *count, int *pid, int flags, int *cut) {
    struct iovec part = {bytes, size};
    union control control;
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *count = 0;
    *pid = 0;
    int n = SYS(SYS_recvmsg, from_fd, &header, MSG_CMSG_CLOEXEC | flags);
    if (n < 0) return n;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c != NULL; c = next(&header, c)) {
        if (c->cmsg_level != SOL_SOCKET) continue;
        if (c->cmsg_type == SCM_RIGHTS) {
            *count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(fds, CMSG_DATA(c), sizeof(int) * (size_t)*count);
        } else if (c->cmsg_type == 2 /* SCM_CREDENTIALS */) {
            struct credentials from;
            memcpy(&from, CMSG_DATA(c), sizeof from);
            *pid = from.pid;
        }
    }
    *cut = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    return n;
}

int channel_receive(int channel, struct message *message, int *fds, int *count, int *pid, int flags) {
    int cut, n = receive(channel, message, sizeof *message, fds, count, pid, flags, &cut);
    if (n <= 0) return n;
    if (n == (int)sizeof *message && !cut) return 1;
    for (int i = 0; i < *count; i++) sys_close(fds[i]);
    *count = 0;
    return -EPROTO;
}

int channel_receive_bytes(int socket, void *bytes, size_t size, int *fds, int *count) {
    int cut, pid;
    return receive(socket, bytes, size, fds, count, &pid, 0, &cut);
}
