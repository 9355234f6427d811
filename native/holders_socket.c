#include "holders.h"

#include "ns_link.h"
#include "nsfs.h"
#include "owned_fd.h"
#include "proc_stat.h"

#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438 /* Linux 5.6 */
#endif
#define TUN_DEVICE makedev(10, 200) /* linux/miscdevice.h, TUN_MINOR */
#define OF_THREAD O_EXCL /* PIDFD_THREAD, Linux 6.9: before, the descriptors of a thread that has its own cannot be had */
#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894c
#endif
#ifndef TUNGETDEVNETNS
#define TUNGETDEVNETNS _IO('T', 227) /* Linux 5.3 */
#endif

/* Inode of the network namespace that the process or thread lives in; 0 where that cannot be read. */
static uint64_t own_net(struct nsf_place *place) {
    char path[32] = "../ns/net";
    char text[64];
    int type;
    if (place->net != 0)
        return place->net;
    if (place->tid > 0)
        snprintf(path, sizeof path, "../task/%d/ns/net", place->tid);
    ssize_t bytes = readlinkat(place->dir, path, text, sizeof text);
    type = bytes < 0 ? -1 : nsf_parse_ns_link(text, (size_t)bytes, &place->net);
    return type == NSF_NET ? place->net : 0;
}

/* A copy of the descriptor FD, or -errno. */
static int copy_descriptor(struct nsf_place *place, int32_t fd) {
    struct nsf_stat stat;
    if (place->pidfd < 0) {
        int32_t pidfd = (int32_t)syscall(SYS_pidfd_open, place->tid > 0 ? place->tid : place->pid, place->tid > 0 ? OF_THREAD : 0u);
        if (pidfd < 0)
            return -errno;
        /* Whatever stands behind dir is there still, so the number was its number when the pidfd was made. */
        if (nsf_read_stat(place->dir, "../stat", &stat) != 0) {
            close(pidfd);
            return -ESRCH;
        }
        place->pidfd = pidfd;
    }
    int copy = (int)syscall(SYS_pidfd_getfd, place->pidfd, fd, 0u);
    return copy < 0 ? -errno : copy;
}

/* The slot of a socket, or the free one where it belongs; NULL: the table is full. */
static struct nsf_known_socket *slot_of(const struct nsf_search *search, uint64_t inode) {
    uint32_t at = (uint32_t)(inode * 0x9e3779b97f4a7c15u >> 32) & search->socket_mask;
    for (uint32_t tries = 0; tries <= search->socket_mask; tries++) {
        struct nsf_known_socket *slot = &search->sockets[(at + tries) & search->socket_mask];
        if (slot->inode == 0 || slot->inode == inode)
            return slot;
    }
    return NULL;
}

/* What is known of the socket: its namespace, 0 if that was refused. False: nothing. A number may come back, so only what the last pass saw counts. */
static int recall(const struct nsf_search *search, uint64_t inode, uint32_t *net) {
    if (!search->sockets)
        return 0;
    struct nsf_known_socket *slot = slot_of(search, inode);
    if (!slot || slot->inode == 0 || slot->pass + 1 < search->pass)
        return 0;
    slot->pass = search->pass;
    *net = slot->net;
    return 1;
}

static void remember(struct nsf_search *search, uint64_t inode, uint32_t net) {
    if (!search->sockets)
        return;
    struct nsf_known_socket *slot = slot_of(search, inode);
    if (!slot)
        return;
    if (slot->inode == 0) {
        if (search->found.head->sockets_known >= search->socket_max)
            return; /* full: it is asked again the next time, and the caller brings a larger table */
        search->found.head->sockets_known++;
        slot->inode = inode;
    }
    slot->net = net;
    slot->pass = search->pass;
}

static void add_socket(struct nsf_search *search, struct nsf_place *place, int32_t fd, int copy, int32_t ns) {
    struct sockaddr_storage address;
    socklen_t bytes = sizeof address;
    int family = 0;
    int type = 0;
    socklen_t length = sizeof family;
    if (getsockname(copy, (struct sockaddr *)&address, &bytes) != 0 || bytes > sizeof address)
        bytes = 0;
    (void)getsockopt(copy, SOL_SOCKET, SO_DOMAIN, &family, &length);
    length = sizeof type;
    (void)getsockopt(copy, SOL_SOCKET, SO_TYPE, &type, &length);
    struct nsf_reference *row = nsf_search_add(search, place, NSF_SOCKET, ns, fd, &address, bytes);
    if (!row)
        return;
    row->family = family;
    row->socket_type = type;
}

/* Row of the namespace that an ioctl of COPY answers with, or -errno. */
static int32_t resolve_ioctl(struct nsf_search *search, int copy, unsigned long request) {
    int net = ioctl(copy, request);
    return net < 0 ? -errno : nsf_table_resolve(&search->found.table, NSF_NET, net);
}

static int ask_socket(struct nsf_search *search, struct nsf_place *place, int32_t fd, uint64_t inode) {
    struct statx about;
    search->found.head->sockets_asked++;
    NSF_OWNED_FD copy = copy_descriptor(place, fd);
    int32_t ns = copy;
    if (copy >= 0) {
        /* Another file may have the number by now, also one of a file system that does not answer. */
        if (statx(copy, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &about) != 0 || about.stx_ino != inode)
            return 0;
        ns = resolve_ioctl(search, copy, SIOCGSKNS);
    }
    if (nsf_is_fatal(ns))
        return ns;
    if (ns == -EBADF || ns == -ESRCH)
        return 0;
    remember(search, inode, ns < 0 ? 0 : (uint32_t)search->found.table.rows[ns].inode);
    if (ns < 0)
        nsf_finding_hide(&search->found, NSF_HIDDEN_SOCKET, -ns);
    else if (search->found.table.rows[ns].inode != own_net(place))
        add_socket(search, place, fd, copy, ns);
    return 0;
}

/* A socket of the namespace that its process lives in is no news: the process holds it already. */
int nsf_search_socket(struct nsf_search *search, struct nsf_place *place, int32_t fd, uint64_t inode) {
    uint32_t net;
    search->found.head->sockets++;
    if (!recall(search, inode, &net))
        return ask_socket(search, place, fd, inode);
    if (net == 0)
        nsf_finding_hide(&search->found, NSF_HIDDEN_SOCKET, EPERM);
    else if (net != own_net(place))
        return ask_socket(search, place, fd, inode);
    return 0;
}

int nsf_is_tun(int dir, const char *name) {
    struct statx about;
    return statx(dir, name, AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &about) == 0 && S_ISCHR(about.stx_mode) &&
           makedev(about.stx_rdev_major, about.stx_rdev_minor) == TUN_DEVICE;
}

/*
 * What the descriptor holds is the namespace that it was opened in (SIOCGSKNS); the device may have been moved to another since, which then is
 * not held by it, but named all the same so that it is found.
 */
int nsf_search_tun(struct nsf_search *search, struct nsf_place *place, int32_t fd) {
    struct ifreq request;
    NSF_OWNED_FD copy = copy_descriptor(place, fd);
    if (copy < 0) {
        if (copy != -EBADF)
            nsf_finding_hide(&search->found, NSF_HIDDEN_TUN, -copy);
        return nsf_is_fatal(copy) ? copy : 0;
    }
    if (!nsf_is_tun(copy, ""))
        return 0; /* another file has the number by now: what its driver makes of the requests below is anything */
    int32_t held = resolve_ioctl(search, copy, SIOCGSKNS);
    int32_t device = nsf_is_fatal(held) ? held : resolve_ioctl(search, copy, TUNGETDEVNETNS);
    if (nsf_is_fatal(device))
        return device;
    int32_t ns = held < 0 ? device : held;
    if (ns < 0) {
        nsf_finding_hide(&search->found, NSF_HIDDEN_TUN, -held);
        return 0;
    }
    if (search->found.table.rows[ns].inode == own_net(place))
        return 0;
    memset(&request, 0, sizeof request);
    if (ioctl(copy, TUNGETIFF, &request) != 0)
        request.ifr_name[0] = 0; /* no device yet */
    nsf_search_add(search, place, NSF_TUN, ns, fd, request.ifr_name, strnlen(request.ifr_name, sizeof request.ifr_name));
    return 0;
}
