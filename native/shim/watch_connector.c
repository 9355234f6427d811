/* The proc connector (linux/cn_proc.h): forks, execs, changed ids and names, exits; not setns or unshare, and not when a zombie is
 * gone. Only the host's own network, user and pid namespaces hear it. */
#include "watch.h"

#include "sys.h"

#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define RECEIVE_BYTES (1 << 20)
#define MESSAGES_A_TURN 4096

/* include/uapi/linux/cn_proc.h moved these into an enum of their own with 6.5 */
enum { FORK = 0x1, EXEC = 0x2, UID = 0x4, COMM = 0x200, EXIT = (int)0x80000000 };

struct process_event {
    uint32_t what, cpu;
    uint64_t timestamp_ns;
    uint32_t data[4]; /* pid, tgid, … ; of a fork parent's pid and tgid, child's pid and tgid */
};

static void note(const struct process_event *event, struct watch_set *set) {
    const uint32_t *data = event->data;
    switch ((int)event->what) {
    case FORK:
        if (data[2] == data[3]) watch_set_add(set, data[3], WATCH_NEW);
        break;
    case EXEC:
    case UID:
        watch_set_add(set, data[1], WATCH_CHANGE);
        break;
    case COMM:
        if (data[0] == data[1]) watch_set_add(set, data[1], WATCH_CHANGE);
        break;
    case EXIT:
        if (data[0] == data[1]) watch_set_add(set, data[1], WATCH_EXIT);
        break;
    default:
        break;
    }
}

static int read_socket(struct watch_source *source, struct watch_set *set) {
    char bytes[1024] __attribute__((aligned(8)));
    const uint32_t head = NLMSG_HDRLEN + sizeof(struct cn_msg);
    int heard = 0;
    for (int turn = 0; turn < MESSAGES_A_TURN; turn++) {
        struct process_event event;
        int length = SYS(SYS_recvfrom, source->polled[0].fd, bytes, sizeof bytes, 0, NULL, NULL);
        if (length == -EAGAIN || length == -EINTR) return heard;
        if (length == -ENOBUFS) {
            watch_set_lose(set);
            heard = 1;
            continue;
        }
        if (length < 0) return length;
        if ((uint32_t)length < head + sizeof event) continue;
        memcpy(&event, bytes + head, sizeof event);
        note(&event, set);
        heard = 1;
    }
    return heard;
}

/* Its name, which it has already: told all the same. */
static void probe(void) {
    SYS(SYS_prctl, PR_SET_NAME, "nsfleet-watch", 0, 0, 0);
}

int watch_connector_open(struct watch_source *source) {
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    struct {
        struct nlmsghdr head;
        struct cn_msg message;
        uint32_t operation;
    } __attribute__((packed)) listen = {.head = {.nlmsg_type = NLMSG_DONE}, .operation = PROC_CN_MCAST_LISTEN};
    int size = RECEIVE_BYTES;
    int fd = SYS(SYS_socket, AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
    if (fd < 0) return fd;
    source->polled[source->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    source->read = read_socket;
    source->probe = probe;
    SYS(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    int result = SYS(SYS_bind, fd, &address, sizeof address);
    if (result < 0) return result;
    listen.head.nlmsg_len = sizeof listen;
    listen.message.id.idx = CN_IDX_PROC;
    listen.message.id.val = CN_VAL_PROC;
    listen.message.len = sizeof listen.operation;
    result = SYS(SYS_sendto, fd, &listen, sizeof listen, 0, NULL, 0);
    return result < 0 ? result : 0;
}
