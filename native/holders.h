#ifndef NSF_HOLDERS_H
#define NSF_HOLDERS_H

#include "found.h"
#include "proc_text.h"

/* One search through processes under way. */
struct nsf_search {
    struct nsf_finding found;
    int proc;
    struct nsf_known_socket *sockets;
    uint32_t socket_mask;
    uint32_t socket_max; /* slots that may be in use */
    uint32_t pass;
    struct nsf_idle_process *idle;
    uint32_t idle_mask;
    uint32_t idle_max;
    /* The program that runs here, and for whom: see is_pin in holders_fd.c. */
    uint64_t own_inode;
    uint64_t own_dev;
    uint32_t own_uid;
};

/* A process, or a thread with descriptors or namespaces of its own, that is looked into. */
struct nsf_place {
    int dir; /* /proc/<pid>/fd; all else of the process is reached from there, which is one open less */
    int32_t pid;
    int32_t tid;        /* 0: the process as a whole */
    uint32_t first_row; /* of this process */
    uint64_t net;       /* inode of its network namespace; 0: not read yet, or not to be had */
    int32_t pidfd;      /* -1 until needed */
    int8_t likely_pins; /* the same program for the same user: its descriptors may be a scan's; -1: not known yet */
    int8_t stat_read;
    uint8_t comm_bytes;
    char comm[16];
    uint32_t uid;
    uint64_t start_ticks;
};

/* The number of a directory entry, or -1. */
int32_t nsf_entry_number(const char *name);

/*
 * A row for PLACE, unless it has one for the same namespace already, of the same kind and thread. NULL: no row, because of that, for want of room,
 * or because the process has ended.
 */
struct nsf_reference *nsf_search_add(struct nsf_search *search, struct nsf_place *place, int kind, int32_t ns, int32_t fd,
                                     const void *text, size_t bytes);

/* The slot of PID if the last pass saw it with these RUNS; it is this pass's then. Else NULL. */
const struct nsf_idle_process *nsf_recall_idle(struct nsf_search *search, int32_t pid, const struct nsf_runs *runs);
/* HELD: rows that it got. */
void nsf_remember_idle(struct nsf_search *search, int32_t pid, const struct nsf_runs *runs, uint32_t held);

/* Everything below: 0, or what nsf_is_fatal says of. */

/* The descriptors in the directory DIR ("/proc/<pid>/fd" or that of a thread), a descriptor itself. */
int nsf_search_descriptors(struct nsf_search *search, struct nsf_place *place, int dir);
/* Threads of a process other than the first: /proc/<pid>/task. */
int nsf_search_threads(struct nsf_search *search, struct nsf_place *place);
/* A socket that the descriptor FD stands for, by its inode on sockfs. */
int nsf_search_socket(struct nsf_search *search, struct nsf_place *place, int32_t fd, uint64_t inode);
/* Whether NAME in DIR, or the descriptor DIR itself where NAME is empty, is the device that tun and tap devices are opened by. */
int nsf_is_tun(int dir, const char *name);
/* A tun or tap device that FD stands for. */
int nsf_search_tun(struct nsf_search *search, struct nsf_place *place, int32_t fd);

#endif
