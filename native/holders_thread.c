#include "holders.h"

#include "ns_link.h"
#include "nsfs.h"
#include "owned_fd.h"
#include "proc_list.h"

#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/*
 * What one thread can have for itself. User and pid namespaces cannot be: setns(2) and unshare(2) refuse them to one of several threads, nor can the
 * time namespace; they are here for the threads of a process whose first thread has ended, at the end.
 */
static const int links[] = {NSF_NET, NSF_MNT,  NSF_UTS, NSF_IPC, NSF_CGROUP, NSF_PID_FOR_CHILDREN, NSF_TIME_FOR_CHILDREN,
                            NSF_TIME};
#define LINKS (sizeof links / sizeof *links)
#define LINKS_OF_LIVING (LINKS - 1)

/* The threads of one process, compared with one of them. */
struct threads {
    char text[LINKS][64];
    ssize_t bytes[LINKS];
    int32_t like; /* whose namespaces and descriptors are known already; 0: nobody's yet, the first thread has ended */
};

struct thread_place {
    struct nsf_place base;
    struct threads threads;
};

static ssize_t read_link(int task, int32_t tid, int link, char text[64]) {
    char path[64];
    snprintf(path, sizeof path, "%d/ns/%s", tid, nsf_link_names[link]);
    return readlinkat(task, path, text, 64);
}

static int open_link(int task, int32_t tid, int link) {
    char path[64];
    snprintf(path, sizeof path, "%d/ns/%s", tid, nsf_link_names[link]);
    int fd = openat(task, path, O_RDONLY | O_CLOEXEC | NSF_PIN_FLAGS);
    if (fd < 0 && errno == ENOENT && link == NSF_PID_FOR_CHILDREN)
        return nsf_nsfs_pid_for_children(tid, 1);
    return fd < 0 ? -errno : fd;
}

static int search_link(struct nsf_search *search, struct thread_place *place, int task, int32_t tid, int link) {
    int fd = open_link(task, tid, link);
    int32_t row = fd < 0 ? fd : nsf_table_resolve(&search->found.table, nsf_link_type(link), fd);
    if (nsf_is_fatal(row))
        return row;
    if (row < 0)
        nsf_finding_hide(&search->found, NSF_HIDDEN_THREAD, -row);
    else
        nsf_search_add(search, &place->base, NSF_THREAD, row, -1, NULL, 0);
    return 0;
}

static int search_namespaces(struct nsf_search *search, struct thread_place *place, int task, int32_t tid) {
    struct threads *threads = &place->threads;
    size_t count = threads->like != 0 ? LINKS_OF_LIVING : LINKS;
    for (size_t at = 0; at < count; at++) {
        char text[64] = {0};
        ssize_t bytes = read_link(task, tid, links[at], text);
        /* A pid namespace for children has no link before its first child, but is there. */
        if (bytes < 0 && !(errno == ENOENT && links[at] == NSF_PID_FOR_CHILDREN)) {
            nsf_finding_hide(&search->found, NSF_HIDDEN_THREAD, errno);
            return 0;
        }
        if (bytes < 0 && threads->bytes[at] < 0 && threads->like != 0)
            continue;
        if (bytes >= 0 && bytes == threads->bytes[at] && memcmp(text, threads->text[at], (size_t)bytes) == 0)
            continue;
        int result = search_link(search, place, task, tid, links[at]);
        if (result < 0)
            return result;
        if (threads->like == 0) { /* the others are compared with this one */
            memcpy(threads->text[at], text, sizeof text);
            threads->bytes[at] = bytes;
        }
    }
    return 0;
}

/* The descriptors of a thread, if they are not those of the one that it is compared with. */
static int search_own_table(struct nsf_search *search, struct thread_place *place, int task, int32_t tid) {
    char path[32];
    long differs = 1;
    if (place->threads.like != 0)
        differs = syscall(SYS_kcmp, place->threads.like, tid, KCMP_FILES, 0, 0);
    if (differs == 0)
        return 0;
    if (differs < 0 && errno != ENOSYS) { /* a kernel without kcmp(2): the list itself has to tell */
        nsf_finding_hide(&search->found, NSF_HIDDEN_THREAD_FD, errno);
        return 0;
    }
    snprintf(path, sizeof path, "%d/fd", tid);
    NSF_OWNED_FD dir = openat(task, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        nsf_finding_hide(&search->found, NSF_HIDDEN_THREAD_FD, errno);
        return nsf_is_fatal(-errno) ? -errno : 0;
    }
    place->base.net = 0;
    int result = nsf_search_descriptors(search, &place->base, dir);
    if (place->base.pidfd >= 0)
        close(place->base.pidfd);
    place->base.pidfd = -1;
    return result;
}

static int search_thread(struct nsf_search *search, struct thread_place *place, int task, const char *name) {
    struct nsf_place *base = &place->base;
    int32_t tid = nsf_entry_number(name);
    if (tid == base->pid)
        return 0;
    search->found.head->threads++;
    base->tid = tid;
    int result = search_namespaces(search, place, task, tid);
    if (result == 0)
        result = search_own_table(search, place, task, tid);
    /* The first thread has ended: the others are compared with the first that lives, whose all was just found. */
    if (result == 0 && place->threads.like == 0)
        place->threads.like = tid;
    return result;
}

int nsf_search_threads(struct nsf_search *search, struct nsf_place *base) {
    struct thread_place place = {.base = *base};
    struct nsf_list list;
    int result = 0;
    NSF_OWNED_FD task = openat(base->dir, "../task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (task < 0) {
        nsf_finding_hide(&search->found, NSF_HIDDEN_THREAD, errno);
        return nsf_is_fatal(-errno) ? -errno : 0;
    }
    place.base.pidfd = -1;
    place.threads.like = base->pid;
    for (size_t at = 0; at < LINKS; at++) {
        place.threads.bytes[at] = read_link(task, base->pid, links[at], place.threads.text[at]);
        if (place.threads.bytes[at] >= 0)
            continue;
        if (errno != ENOENT) {
            nsf_finding_hide(&search->found, NSF_HIDDEN_THREAD, errno);
            return 0;
        }
        if (links[at] == NSF_NET) /* it has left all its namespaces, and the others are there yet */
            place.threads.like = 0;
    }
    nsf_list_start(&list, task);
    for (const char *name; result == 0 && (name = nsf_list_next(&list));)
        result = search_thread(search, &place, task, name);
    if (list.errnum != 0)
        nsf_finding_hide(&search->found, NSF_HIDDEN_THREAD, list.errnum);
    return result;
}
