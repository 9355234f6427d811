/*
 * What the task iterator (bpf/tasks.bpf.c) writes and tasks.c reads: records of two kinds, one after another. Built by clang for
 * the kernel and by the host's compiler for the library, so widths are fixed and nothing is padded.
 */
#ifndef NSF_TASK_RECORDS_H
#define NSF_TASK_RECORDS_H

/* As NSF_LINKS of nsfleet.h, which the kernel's side cannot include. */
#define NSF_RECORD_LINKS 10

/* Grows with every change below: the loader tells its own to the library. */
#define NSF_RECORDS_VERSION 1

enum nsf_record_kind { NSF_RECORD_TASK = 1, NSF_RECORD_NAMESPACE = 2 };

/* The task is a thread that is not its group's leader. */
#define NSF_TASK_THREAD 1u
/* The thread has a table of descriptors of its own. */
#define NSF_TASK_OWN_FILES 2u

/*
 * A namespace's key is its 64-bit id, or where the kernel has none its inode number. One that is described stands before the first
 * task in it, or was described earlier in the same pass; it may be described twice.
 */
struct nsf_namespace_record {
    unsigned int kind;
    unsigned int type; /* enum nsf_type */
    unsigned long long key;
    unsigned long long id; /* 0: the kernel has none */
    unsigned long long owner_key;
    unsigned long long parent_key; /* user and pid namespaces; 0: none */
    unsigned int inode;
    unsigned int owner_uid; /* user namespaces, as the initial one sees it */
};

struct nsf_task_record {
    unsigned int kind;
    unsigned int flags;
    int pid; /* of the thread group, in the initial pid namespace as everything here */
    int tid;
    int ppid;
    unsigned int uid; /* effective */
    unsigned long long start_ns; /* since boot */
    unsigned long long keys[NSF_RECORD_LINKS]; /* 0: in none, as a zombie is */
    unsigned int state;      /* task_struct.__state */
    unsigned int exit_state;
    char comm[16]; /* ends with NUL */
};

#endif
