/*
 * rtnetlink(7) and sock_diag(7) dumps, counted and not kept. A dump that the kernel interrupts (NLM_F_DUMP_INTR) may count a row twice or not at
 * all: counts are of a moment, and the next look is a minute away.
 */
#include "inside_net.h"

#include "raw_syscall.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define UNSANITIZED __attribute__((no_sanitize("address", "undefined")))
/* netlink(7): enough for every message of a dump that the kernel makes by itself. */
#define BUFFER_BYTES 16384
#define LISTENING (1u << 10) /* TCP_LISTEN */
#define BOUND (1u << 7)      /* TCP_CLOSE: what a UDP socket is that is not connected */
#define NO_NSID (-1)         /* NETNSA_NSID_NOT_ASSIGNED */

struct request {
    struct nlmsghdr head;
    union {
        struct rtgenmsg generic;
        struct ifinfomsg link;
        struct ifaddrmsg address;
        struct rtmsg route;
        struct inet_diag_req_v2 diag;
        struct {
            struct rtgenmsg generic;
            char padding[3];
            struct rtattr attribute;
            int32_t fd;
        } nsid;
    } body;
};

/* Called for each message of a dump. */
typedef void (*seen_fn)(const struct nlmsghdr *message, struct nsf_inside *row);

UNSANITIZED static int receive(int fd, char *buffer, struct nsf_inside *row, seen_fn seen) {
    for (;;) {
        long bytes = nsf_raw6(SYS_recvfrom, fd, (long)buffer, BUFFER_BYTES, 0, 0, 0);
        if (bytes == -EINTR)
            continue;
        if (bytes <= 0)
            return bytes < 0 ? (int)bytes : -EIO;
        for (const struct nlmsghdr *message = (const struct nlmsghdr *)(void *)buffer; NLMSG_OK(message, (unsigned long)bytes);
             message = NLMSG_NEXT(message, bytes)) {
            if (message->nlmsg_type == NLMSG_DONE)
                return 0;
            if (message->nlmsg_type == NLMSG_ERROR)
                return ((const struct nlmsgerr *)NLMSG_DATA(message))->error;
            seen(message, row);
            if (!(message->nlmsg_flags & NLM_F_MULTI))
                return 0;
        }
    }
}

UNSANITIZED static int ask(int fd, struct request *request, size_t body_bytes, char *buffer, struct nsf_inside *row, seen_fn seen) {
    request->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(body_bytes);
    long sent = nsf_raw6(SYS_sendto, fd, (long)request, (long)request->head.nlmsg_len, 0, 0, 0);
    return sent < 0 ? (int)sent : receive(fd, buffer, row, seen);
}

UNSANITIZED static void see_link(const struct nlmsghdr *message, struct nsf_inside *row) {
    row->links += message->nlmsg_type == RTM_NEWLINK;
}

UNSANITIZED static void see_address(const struct nlmsghdr *message, struct nsf_inside *row) {
    row->addresses += message->nlmsg_type == RTM_NEWADDR;
}

/* What `ip route` shows: the local table, which the kernel fills by itself, is left out. */
UNSANITIZED static void see_route(const struct nlmsghdr *message, struct nsf_inside *row) {
    const struct rtmsg *route = NLMSG_DATA(message);
    row->routes += message->nlmsg_type == RTM_NEWROUTE && route->rtm_table != RT_TABLE_LOCAL && !(route->rtm_flags & RTM_F_CLONED);
}

UNSANITIZED static void see_socket(const struct nlmsghdr *message, struct nsf_inside *row) {
    row->listening += message->nlmsg_type == SOCK_DIAG_BY_FAMILY;
}

/* The number by which this namespace knows another; adds it where there is one. ROW->answer carries it out of here. */
UNSANITIZED static void see_nsid(const struct nlmsghdr *message, struct nsf_inside *row) {
    const struct rtattr *attribute = (const struct rtattr *)(const void *)((const char *)NLMSG_DATA(message) + NLMSG_ALIGN(sizeof(struct rtgenmsg)));
    if (message->nlmsg_len < NLMSG_LENGTH(NLMSG_ALIGN(sizeof(struct rtgenmsg)) + RTA_LENGTH(sizeof(int32_t))))
        return;
    if (attribute->rta_type != NETNSA_NSID)
        return;
    int32_t nsid = *(const int32_t *)RTA_DATA(attribute);
    if (nsid == NO_NSID || row->peer_count >= NSF_INSIDE_PEERS)
        return;
    row->peers[row->peer_count].nsid = nsid;
    row->peers[row->peer_count].row = -1;
    row->peer_count++;
}

UNSANITIZED static int fail(struct nsf_inside *row, const char *step, long result) {
    for (size_t i = 0; i + 1 < sizeof row->step && step[i] != 0; i++)
        row->step[i] = step[i];
    return (int)result;
}

/* The family is the first byte of every header; a header longer than its kind's would be read as attributes. */
UNSANITIZED static int dump(int fd, char *buffer, uint16_t type, size_t body_bytes, uint8_t family, struct nsf_inside *row, seen_fn seen) {
    struct request request = {.head = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
    request.body.generic.rtgen_family = family;
    return ask(fd, &request, body_bytes, buffer, row, seen);
}

UNSANITIZED static int count_sockets(int fd, char *buffer, uint8_t family, uint8_t protocol, uint32_t states, struct nsf_inside *row) {
    struct request request = {.head = {.nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
    request.body.diag.sdiag_family = family;
    request.body.diag.sdiag_protocol = protocol;
    request.body.diag.idiag_states = states;
    int result = ask(fd, &request, sizeof request.body.diag, buffer, row, see_socket);
    /* A kernel without that protocol, or without its module loaded, has no such sockets to tell of. */
    return result == -ENOENT ? 0 : result;
}

/* Which of the other rows' namespaces the numbers stand for: asked of each, because the dump tells numbers only. */
UNSANITIZED static int match_peers(int fd, char *buffer, struct nsf_inside *row, const struct nsf_inside *peers, uint32_t count) {
    uint32_t known = row->peer_count;
    for (uint32_t i = 0; i < count && known > 0; i++) {
        if (peers[i].type != NSF_NET || peers[i].fd < 0 || row->peer_count >= NSF_INSIDE_PEERS)
            continue;
        struct request request = {.head = {.nlmsg_type = RTM_GETNSID, .nlmsg_flags = NLM_F_REQUEST}};
        request.body.nsid.attribute.rta_len = (uint16_t)RTA_LENGTH(sizeof(int32_t));
        request.body.nsid.attribute.rta_type = NETNSA_FD;
        request.body.nsid.fd = peers[i].fd;
        uint32_t before = row->peer_count;
        int result = ask(fd, &request, sizeof request.body.nsid, buffer, row, see_nsid);
        if (result < 0)
            return result;
        if (row->peer_count == before)
            continue;
        row->peer_count = before;
        for (uint32_t j = 0; j < known; j++)
            if (row->peers[j].nsid == row->peers[before].nsid)
                row->peers[j].row = (int32_t)i;
    }
    return 0;
}

UNSANITIZED static int count_routes(int fd, char *buffer, struct nsf_inside *row, const struct nsf_inside *peers, uint32_t count) {
    int result = dump(fd, buffer, RTM_GETLINK, sizeof(struct ifinfomsg), AF_UNSPEC, row, see_link);
    if (result < 0)
        return fail(row, "links", result);
    result = dump(fd, buffer, RTM_GETADDR, sizeof(struct ifaddrmsg), AF_UNSPEC, row, see_address);
    if (result < 0)
        return fail(row, "addresses", result);
    result = dump(fd, buffer, RTM_GETROUTE, sizeof(struct rtmsg), AF_INET, row, see_route);
    if (result >= 0)
        result = dump(fd, buffer, RTM_GETROUTE, sizeof(struct rtmsg), AF_INET6, row, see_route);
    if (result < 0)
        return fail(row, "routes", result);
    result = dump(fd, buffer, RTM_GETNSID, sizeof(struct rtgenmsg), AF_UNSPEC, row, see_nsid);
    if (result >= 0)
        result = match_peers(fd, buffer, row, peers, count);
    return result < 0 ? fail(row, "peers", result) : 0;
}

UNSANITIZED static int count_listening(int fd, char *buffer, struct nsf_inside *row) {
    static const uint8_t families[] = {AF_INET, AF_INET6};
    for (size_t i = 0; i < sizeof families; i++) {
        int result = count_sockets(fd, buffer, families[i], IPPROTO_TCP, LISTENING, row);
        if (result >= 0)
            result = count_sockets(fd, buffer, families[i], IPPROTO_UDP, BOUND, row);
        if (result < 0)
            return fail(row, "listening", result);
    }
    return 0;
}

UNSANITIZED int nsf_inside_net(struct nsf_inside *row, const struct nsf_inside *peers, uint32_t count) {
    char buffer[BUFFER_BYTES] __attribute__((aligned(8)));
    long fd = nsf_raw(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE, 0, 0);
    if (fd < 0)
        return fail(row, "netlink_route", fd);
    int result = count_routes((int)fd, buffer, row, peers, count);
    nsf_raw(SYS_close, fd, 0, 0, 0, 0);
    if (result < 0)
        return result;
    fd = nsf_raw(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG, 0, 0);
    if (fd < 0)
        return fail(row, "netlink_diag", fd);
    result = count_listening((int)fd, buffer, row);
    nsf_raw(SYS_close, fd, 0, 0, 0, 0);
    return result;
}
