/*
 * libnsfleet's ABI: the one door between TypeScript and the kernel calls that Node has not.
 *
 * Every function returns 0 or -errno and, when it fails, fills the struct nsf_error that it was given with the step
 * that failed. All memory belongs to the caller. Nothing here prints, exits, allocates with malloc or keeps globals.
 * File descriptors that are handed out are close-on-exec and belong to the caller.
 *
 * native/layout.ts repeats these layouts; binding.ts compares both at load (nsf_layout) and refuses a library that
 * differs. Change NSF_ABI whenever a meaning changes that a layout does not show.
 */
#ifndef NSFLEET_H
#define NSFLEET_H

#include <stdint.h>

#define NSF_ABI 1
#define NSF_PUBLIC __attribute__((visibility("default")))

/* The namespace types, in the order of lsns(8) and of enum nsf_link. */
enum nsf_type { NSF_MNT, NSF_CGROUP, NSF_UTS, NSF_IPC, NSF_USER, NSF_PID, NSF_NET, NSF_TIME, NSF_TYPES };

/* The links of /proc/<pid>/ns: the eight types, then what the process's next children get. */
enum nsf_link { NSF_PID_FOR_CHILDREN = NSF_TYPES, NSF_TIME_FOR_CHILDREN, NSF_LINKS };

struct nsf_error {
    int32_t errnum;   /* positive errno, 0 if none */
    char step[32];    /* what failed, e.g. "open_proc" */
    char detail[256]; /* on what, e.g. a path; may be empty */
};

/* The head of a scan's buffer. Row sizes are in it so that a reader need not assume them. */
struct nsf_scan {
    uint32_t size;    /* of this struct */
    uint32_t version; /* NSF_ABI */
    uint64_t process_offset; /* from the start of the buffer, bytes */
    uint64_t namespace_offset;
    uint32_t process_count;
    uint32_t process_bytes; /* of one row */
    uint32_t namespace_count;
    uint32_t namespace_bytes;
    uint32_t process_needed; /* after -ENOSPC: rows to try next */
    uint32_t namespace_needed;
    uint32_t vanished;       /* processes that ended while they were read: left out whole */
    uint32_t unreadable_eacces; /* processes with at least one namespace link refused, by errno */
    uint32_t unreadable_eperm;
    uint32_t unreadable_other;
    uint32_t unpinned; /* namespaces read without holding them open (too few descriptors): their inode may be reused */
    uint32_t reserved;
};

/* What tells whether a process has run meanwhile: /proc/<pid>/schedstat. */
struct nsf_runs {
    uint64_t ran_ns;
    uint64_t waited_ns;
    uint64_t runs;
    uint64_t inode; /* of that file: another process of the same pid has another one */
};

/* Only the process itself can change its row, but for its parent's end: whoever goes by RUNS must see to that. */
#define NSF_PROCESS_MARKED 1u
/* Not read in this pass: it has not run since it was. */
#define NSF_PROCESS_REMEMBERED 2u

struct nsf_process {
    uint64_t start_ticks; /* since boot, in clock ticks (stat field 22) */
    int32_t pid;
    int32_t ppid;
    uint32_t uid;        /* effective: the owner of /proc/<pid> is that whatever "dumpable" says (fs/proc task_dump_owner) */
    uint8_t state;       /* R S D Z … (stat field 3) */
    uint8_t comm_bytes;  /* 0…16 */
    uint16_t flags;
    char comm[16];          /* raw bytes, not terminated; longer kernel thread names are cut */
    int32_t ns[NSF_LINKS];  /* row of the namespace, or -1: unreadable, or a zombie has none */
    struct nsf_runs runs;   /* as they were when its reading began, if it is marked */
};

struct nsf_namespace {
    uint64_t id; /* NS_GET_ID: never reused; 0 where the kernel has none (before about 6.13) */
    uint64_t inode;
    uint64_t dev;
    int64_t owner_uid; /* user namespaces: effective uid of the creator; others -1 */
    uint64_t leader_start_ticks;
    int32_t leader_pid; /* lowest pid in it; 0: no process is in it */
    int32_t type;       /* enum nsf_type */
    int32_t parent;     /* row; user and pid only; -1: none, or outside of the caller's sight */
    int32_t owner;      /* row of the owning user namespace; -1 likewise */
    uint32_t process_count; /* members; *_for_children do not count */
    uint32_t reserved;
};

struct nsf_relation {
    uint32_t size;
    uint32_t version;
    uint64_t id;
    uint64_t inode;
    uint64_t dev;
    uint64_t parent_id; /* parent and owner: inode 0 means none, or outside of the caller's sight */
    uint64_t parent_inode;
    uint64_t owner_id;
    uint64_t owner_inode;
    int64_t owner_uid; /* as in nsf_namespace */
    int32_t type;
    int32_t reserved;
};

/* Holders that are no process, parent or owner. NSF_SAME: the process holds what it was told to hold the last time, see nsf_idle_process. */
enum nsf_kind { NSF_THREAD, NSF_FD, NSF_THREAD_FD, NSF_SOCKET, NSF_TUN, NSF_MOUNT, NSF_SAME };

/*
 * What could not be looked into, by reason: indexes of nsf_found.hidden. native/references.ts has the names in this order. Each place comes
 * as EACCES, EPERM and all else.
 */
enum nsf_hidden {
    NSF_HIDDEN_FD = 0,        /* processes whose descriptors may not be listed */
    NSF_HIDDEN_THREAD = 3,    /* threads whose namespaces may not be read */
    NSF_HIDDEN_THREAD_FD = 6, /* threads of which it is not known whether their descriptors are the process's */
    NSF_HIDDEN_SOCKET = 9,    /* sockets whose network namespace was refused: pidfd_getfd(2) or SIOCGSKNS */
    NSF_HIDDEN_TUN = 12,
    NSF_HIDDEN_NAMESPACE = 15,       /* a descriptor or mount of a namespace that could not be opened */
    NSF_HIDDEN_MOUNTINFO = 18,       /* mount namespaces whose mounts may not be listed */
    NSF_HIDDEN_MOUNT_NAMESPACE = 21, /* those without a process that could not be entered */
    NSF_HIDDEN_COVERED_MOUNT = 24,   /* over-mounted ones of a namespace that is known by its inode only */
    NSF_HIDDEN_LISTNS = 25,          /* namespaces that listns(2) named and that could not be opened */
    NSF_HIDDEN_REASONS = 26
};

/* The head of the buffer that nsf_references, nsf_mounts and nsf_open_ids fill. */
struct nsf_found {
    uint32_t size;
    uint32_t version;
    uint64_t reference_offset; /* from the start of the buffer, bytes */
    uint64_t namespace_offset; /* rows of struct nsf_namespace, without members and leaders */
    uint64_t text_offset;
    uint32_t reference_count;
    uint32_t reference_bytes; /* of one row */
    uint32_t namespace_count;
    uint32_t namespace_bytes;
    uint32_t text_bytes;
    uint32_t reference_needed; /* after -ENOSPC: what to try next */
    uint32_t namespace_needed;
    uint32_t text_needed;
    uint32_t threads;        /* looked at one by one */
    uint32_t sockets;        /* socket descriptors met */
    uint32_t sockets_asked;  /* those of them that were not remembered */
    uint32_t sockets_known;  /* slots of the memory in use */
    uint32_t processes;      /* met */
    uint32_t idle;           /* those of them that had not run since */
    uint32_t idle_known;     /* slots of the memory in use */
    uint32_t vanished;       /* processes that ended before they were looked into */
    uint32_t unpinned;       /* as in nsf_scan */
    uint32_t threads_present; /* of the processes met */
    uint32_t threads_counted; /* by the kernel, on the whole host; 0 where every process shows */
    uint32_t hidden[NSF_HIDDEN_REASONS];
    uint32_t reserved;
};

struct nsf_reference {
    uint64_t start_ticks; /* of the process; 0 for mounts */
    uint64_t mount_id;    /* mounts: the unique one where the kernel has it (6.8), else that of mountinfo */
    int32_t kind;         /* enum nsf_kind */
    int32_t ns;           /* row of what is held */
    int32_t pid;          /* 0 for mounts */
    int32_t tid;          /* NSF_THREAD and NSF_THREAD_FD, or a socket or tun of such a table; else 0 */
    int32_t fd;           /* or -1 */
    uint32_t uid;         /* effective, of the process */
    int32_t mount_ns;     /* mounts: row of the mount namespace that it is in; else -1 */
    uint32_t text;        /* mount point, struct sockaddr of the socket, or name of the tun device: offset, bytes */
    uint32_t text_bytes;
    int32_t family;       /* sockets: SO_DOMAIN, SO_TYPE */
    int32_t socket_type;
    uint8_t covered;      /* mounts: the path shows something else */
    uint8_t comm_bytes;
    uint16_t reserved;
    char comm[16];
};

/* Rows and bytes that a buffer of nsf_found has room for. */
struct nsf_room {
    uint32_t references;
    uint32_t namespaces;
    uint32_t text_bytes;
    uint32_t reserved;
};

/* One slot of what nsf_references remembers of sockets, which never change their namespace. All zero: free. */
struct nsf_known_socket {
    uint64_t inode; /* on sockfs */
    uint32_t net;   /* inode of its network namespace, 0: refused */
    uint32_t pass;  /* the last one that saw it */
};

/*
 * One slot of what nsf_references remembers of processes that have one thread: as long as such a process has not run (the three numbers of
 * /proc/<pid>/schedstat), it has opened and closed nothing either. One that held something the last time gets a row of kind NSF_SAME. All
 * zero: free. After a failure the caller forgets all of it.
 */
struct nsf_idle_process {
    struct nsf_runs runs;
    int32_t pid;
    uint32_t pass; /* the last one that saw it */
    uint32_t held; /* rows */
    uint32_t reserved;
};

/* Where a mount namespace is: that of the process or thread PID (FD -1), or what its descriptor FD stands for. */
struct nsf_door {
    int32_t pid;
    int32_t fd;
};

#define NSF_LEFT_CHILDREN 12 /* rows of the memory: calls at the same time have some under way, too */
#define NSF_LEFT_CHILDREN_MAX 4

/*
 * One row of what nsf_mounts and nsf_unmount keep of children that they had to leave behind: whoever asks a FUSE server that takes requests and does not
 * answer is not even ended by SIGKILL. From NSF_LEFT_CHILDREN_MAX on none is made any more. The caller keeps NSF_LEFT_CHILDREN rows, all zero at first,
 * from one call to the next; calls of several threads may share them.
 */
struct nsf_left_child {
    uint64_t stack; /* what it stands on */
    uint64_t stack_bytes;
    int32_t pidfd;
    int32_t state; /* 0: free, 1: a call's that is under way, 2: it does not end */
};

struct nsf_child {
    uint32_t size;
    uint32_t version;
    uint64_t start_ticks;
    int32_t pid;
    int32_t pidfd;
};

struct nsf_exit {
    uint32_t size;
    uint32_t version;
    int32_t running; /* 1: has not ended, the rest is 0 */
    int32_t code;    /* 0…255, or -1 if ended by a signal */
    int32_t signal;  /* 0 if it exited */
    int32_t reserved;
};

#define NSF_INSIDE_PEERS 32
#define NSF_INSIDE_ROWS 1024

/* One namespace to look into, and what was seen there. Only uts, net and cgroup namespaces have to be joined for that. */
struct nsf_inside {
    uint64_t id;    /* in: as in nsf_namespace; 0 is not compared */
    uint64_t inode; /* in */
    int32_t type;   /* in: NSF_UTS, NSF_NET or NSF_CGROUP */
    int32_t fd;     /* in: open on the namespace */
    int32_t cgroup_fd; /* in, cgroup: open on /proc/<pid>/cgroup of a member, or -1 */
    int32_t wanted;    /* in: 0: only one that others may have as a peer */
    int32_t result;    /* out: 0 or -errno; -ESTALE: FD is another namespace */
    char step[20];     /* out: what failed */
    uint32_t links;    /* out, net */
    uint32_t addresses;
    uint32_t routes;    /* but those of the local table */
    uint32_t listening; /* TCP listening, UDP bound and not connected; IPv4 and IPv6 */
    uint32_t peer_count;
    struct nsf_peer {
        int32_t nsid; /* RTM_GETNSID */
        int32_t row;  /* of this call; -1: none of them */
    } peers[NSF_INSIDE_PEERS];
    char hostname[68]; /* out, uts; terminated */
    char domainname[68];
    uint32_t cgroup_bytes; /* out, cgroup; as many as fit: not terminated */
    char cgroup[1024];
};

/* The head of a task pass's buffer: that of a scan, and a third kind of row. */
struct nsf_tasks {
    struct nsf_scan scan;
    uint64_t thread_offset;
    uint32_t thread_count;
    uint32_t thread_bytes;
    uint32_t thread_needed;
    uint32_t reserved;
};

#define NSF_THREAD_OWN_FILES 1u

/* A thread that is in other namespaces than its process, or has a table of descriptors of its own. */
struct nsf_thread {
    uint64_t start_ticks;
    int32_t pid; /* of its process */
    int32_t tid;
    uint32_t flags;
    uint32_t reserved;
    int32_t ns[NSF_LINKS]; /* as of a process */
};

/* Writes "abi N" and one line "struct.field offset size" for every field above. -ENOSPC if BYTES are too few. */
NSF_PUBLIC int nsf_layout(char *out, uint32_t bytes);

/* Bytes of a buffer for so many rows. */
NSF_PUBLIC uint64_t nsf_scan_bytes(uint32_t process_max, uint32_t namespace_max);

/*
 * One pass over the procfs at PROC, or over every PARTS-th of its processes (PART counts from 0): the kernel's share of the
 * work is nearly all of it, so two threads with a part each take half the time. BUFFER (8-byte aligned) holds
 * nsf_scan_bytes(process_max, namespace_max) bytes and begins with struct nsf_scan afterwards. -ENOSPC: too small,
 * process_needed and namespace_needed say what to try. Reads only, so it may run on any thread. A namespace stays open from
 * its first sight to the end of the scan, so its inode number cannot pass to another one meanwhile.
 *
 * BEFORE is the buffer of an earlier pass over the same procfs, or one whose head counts no rows: a process with one thread that has not run
 * since keeps its row (NSF_PROCESS_REMEMBERED) and its namespaces, which costs a quarter, and what the next pass may go by is read along. -ESTALE:
 * a process ended meanwhile, and the number of a namespace of its is another one's; nothing was found that can be relied on. NULL: nothing is
 * remembered.
 */
NSF_PUBLIC int nsf_scan(const char *proc, uint32_t part, uint32_t parts, const void *before, uint32_t process_max, uint32_t namespace_max,
                        void *buffer, uint64_t bytes, struct nsf_error *error);

/*
 * The same rows for COUNT processes only. Pids of which there is no process, or which are threads, have no row. Members are counted
 * among these processes.
 */
NSF_PUBLIC int nsf_scan_pids(const char *proc, const int32_t *pids, uint32_t count, uint32_t process_max, uint32_t namespace_max,
                             void *buffer, uint64_t bytes, struct nsf_error *error);

/* Bytes of a buffer of nsf_found. */
NSF_PUBLIC uint64_t nsf_found_bytes(const struct nsf_room *room);

/* What nsf_references is to look into, and what it knows from the last time. */
struct nsf_inquiry {
    uint32_t part; /* as in nsf_scan */
    uint32_t parts;
    uint32_t pass;       /* counts full passes, from 1: what is remembered from before the last one is forgotten */
    uint32_t pid_count;  /* 0: every process */
    uint64_t pids;       /* address of as many int32_t */
    uint64_t sockets;    /* address of struct nsf_known_socket, kept by the caller from one call to the next; may be 0 */
    uint32_t socket_slots; /* a power of two */
    uint32_t sockets_known; /* slots in use, as the last call told; 0: all are free */
    uint64_t idle;          /* address of struct nsf_idle_process, kept likewise; may be 0 */
    uint32_t idle_slots;    /* a power of two */
    uint32_t idle_known;
};

/*
 * Looks for holders in processes: descriptors of namespaces, sockets and tun devices of another network namespace than their process's, threads
 * elsewhere than their process, and their own descriptors. Of several alike in one process the lowest is reported. Enters no namespace and opens
 * nothing but namespaces; a socket is looked at through a copy of its descriptor (pidfd_getfd(2)). -ENOSPC as in nsf_scan.
 */
NSF_PUBLIC int nsf_references(const char *proc, const struct nsf_inquiry *inquiry, const struct nsf_room *room, void *buffer,
                              uint64_t bytes, struct nsf_error *error);

/*
 * Looks for bind mounts of namespaces in the mount namespaces behind DOORS, and in every mount namespace that such a mount holds. One without a
 * process is entered by a child process that does nothing but be there. -ENOSPC as in nsf_scan.
 */
NSF_PUBLIC int nsf_mounts(const char *proc, const struct nsf_door *doors, uint32_t door_count, struct nsf_left_child *left,
                          const struct nsf_room *room, void *buffer, uint64_t bytes, struct nsf_error *error);

/* Bytes of a buffer for so many rows of a task pass. */
NSF_PUBLIC uint64_t nsf_tasks_bytes(uint32_t process_max, uint32_t namespace_max, uint32_t thread_max);

/*
 * All tasks of the initial pid namespace by the task iterator behind LINK, which bpf/load.c made: one read of kernel memory in
 * place of ten links a process, and nothing is hidden from it. BUFFER begins with struct nsf_tasks afterwards; the rest is as for
 * nsf_scan. One pass at a time for one LINK. -EPROTO: the iterator speaks of something else than this library knows.
 */
NSF_PUBLIC int nsf_tasks(int32_t link, uint32_t process_max, uint32_t namespace_max, uint32_t thread_max, void *buffer,
                         uint64_t bytes, struct nsf_error *error);

/*
 * 1 if the namespace with this id, type (enum nsf_type) and inode is there, held by whatever it may be, 0 if it is gone; -EOPNOTSUPP where the kernel
 * cannot be asked (before Linux 6.18). For a moment after the last process the kernel may still hold what it is taking down.
 */
NSF_PUBLIC int nsf_alive(uint64_t id, int32_t type, uint64_t inode, struct nsf_error *error);

/* The version of Landlock, from 1 on; or -errno: -ENOSYS, -EOPNOTSUPP where the kernel has none or it is off. */
NSF_PUBLIC int nsf_landlock_abi(void);

/*
 * The ids of all namespaces that are in use and that the caller may see, by listns(2): -ENOSYS before Linux 6.19. COUNT of at most MAX; -ENOSPC: there
 * are more. Those in flight between two processes, and whatever else no place in procfs shows, are among them.
 */
NSF_PUBLIC int nsf_listns(uint64_t *ids, uint32_t max, uint32_t *count, struct nsf_error *error);

/* Describes the namespaces with these ids, opened by file handles of the id alone (Linux 6.19), as rows of struct nsf_found. Ended ones are left out. */
NSF_PUBLIC int nsf_open_ids(const uint64_t *ids, uint32_t count, const struct nsf_room *room, void *buffer, uint64_t bytes,
                            struct nsf_error *error);

/* Describes the namespace that FD, or if FD is -1 the file PATH (/proc/<pid>/ns/x or a bind mount of one), stands for. */
NSF_PUBLIC int nsf_relate(int32_t fd, const char *path, struct nsf_relation *relation, struct nsf_error *error);

/*
 * Looks into COUNT namespaces (at most NSF_INSIDE_ROWS), one after another, from one short-lived child that shares this memory: the calling
 * thread's namespaces never change. Each row has its own result. setns(2) wants CAP_SYS_ADMIN over each of them.
 */
NSF_PUBLIC int nsf_inside(struct nsf_inside *rows, uint32_t count, struct nsf_error *error);

/* What namespaces process PID is in: id (0: the kernel has none) and inode of each, in the order of enum nsf_type. */
NSF_PUBLIC int nsf_process_namespaces(int32_t pid, uint64_t out[2 * NSF_TYPES], struct nsf_error *error);
/*
 * Unmounts (detaches) the namespace file PATH, in the mount namespace that the descriptor MOUNT_NAMESPACE stands for, or in this one if it is -1.
 * PATH is absolute. -ESTALE: it shows another file than the namespace of that INODE and ID (0: not compared). -ETIMEDOUT: a file system on the way does
 * not answer; -EBUSY at left_children: nor did it before. A child does it, so the caller never waits for more than seconds.
 */
NSF_PUBLIC int nsf_unmount(int32_t mount_namespace, const char *path, uint64_t id, uint64_t inode, struct nsf_left_child *left,
                           struct nsf_error *error);

#define NSF_SPAWN_NEW_SESSION 1u
#define NSF_SPAWN_INTO_CGROUP 2u

/*
 * Starts the program open at PROGRAM (a sealed memfd): clone3(CLONE_VM | CLONE_VFORK), so the cost does not grow with
 * the caller's memory (measured 0.07–0.13 ms at any size). ARGV is ARGC strings one after another, each with its NUL;
 * ENV likewise. In the child FDS[i] is descriptor i, and nothing else is open. Signal mask empty, dispositions default.
 * INTO_CGROUP: the last of FDS is not handed over; it is the directory of cgroup v2 that the child is born in (Linux 5.7).
 * A failure on either side of exec is returned with its step; then no child is left.
 */
NSF_PUBLIC int nsf_spawn(int32_t program, const char *argv, uint32_t argc, const char *env, uint32_t envc,
                         const int32_t *fds, uint32_t fd_count, uint32_t flags, struct nsf_child *child,
                         struct nsf_error *error);

/* The status of a child, which is reaped when it has ended. Never waits. -ECHILD: not a child, or reaped before. */
NSF_PUBLIC int nsf_wait(int32_t pidfd, struct nsf_exit *status, struct nsf_error *error);

/* Start time of PID in clock ticks since boot; -ESRCH if there is none. */
NSF_PUBLIC int nsf_process_start(int32_t pid, uint64_t *start_ticks, struct nsf_error *error);

/* A pidfd for the process PID that started at START_TICKS: -ESRCH if there is none, -ESTALE if PID is another one now. */
NSF_PUBLIC int nsf_pidfd_open(int32_t pid, uint64_t start_ticks, int32_t *pidfd, struct nsf_error *error);
NSF_PUBLIC int nsf_pidfd_signal(int32_t pidfd, int32_t signal, struct nsf_error *error);

/* A sealed (SEAL, SHRINK, GROW, WRITE) memfd with the content of the file PATH, executable. */
NSF_PUBLIC int nsf_seal_program(const char *path, int32_t *fd, struct nsf_error *error);
/* A sealed memfd with BYTES, not executable where the kernel can say so (6.3); offset 0. */
NSF_PUBLIC int nsf_seal_bytes(const void *bytes, uint64_t size, const char *name, int32_t *fd, struct nsf_error *error);

NSF_PUBLIC int nsf_pipe(int32_t fds[2], struct nsf_error *error);       /* [0] reads, [1] writes */
NSF_PUBLIC int nsf_socketpair(int32_t fds[2], struct nsf_error *error); /* unix stream */
#define NSF_SEND_FDS_MAX 8u
/* Sends BYTES with copies of FDS (SCM_RIGHTS) on a unix stream, at once or not at all: -EAGAIN where it is full, -EPIPE where nobody reads. */
NSF_PUBLIC int nsf_send_fds(int32_t socket, const void *bytes, uint32_t size, const int32_t *fds, uint32_t fd_count,
                            struct nsf_error *error);
/*
 * What waits on a unix socket, without waiting for it, and the descriptor that came along, or -1. *USED is 0 at the end of the
 * stream. -EAGAIN: nothing waits.
 */
NSF_PUBLIC int nsf_receive(int32_t socket, void *bytes, uint32_t size, uint32_t *used, int32_t *fd, struct nsf_error *error);
/* A directory for *at() calls and fsync. The last component may not be a symbolic link. */
NSF_PUBLIC int nsf_open_dir(const char *path, int32_t *fd, struct nsf_error *error);

#endif
