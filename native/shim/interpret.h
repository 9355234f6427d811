/* Doing a plan's operations, one table for both sides. */
#ifndef NSFLEET_SHIM_INTERPRET_H
#define NSFLEET_SHIM_INTERPRET_H

#include "../plan.h"
#include "failure.h"
#include "person.h"

enum { STREAMS = 3 };

/* What the operations of one side share. */
struct work {
    const struct plan *plan;
    int state_fd;  /* the placement's state directory, or -1 */
    int userns_fd; /* the sandbox's user namespace, on the host's side; or -1 */
    int root_fd;   /* the new root, once made; or -1 */
    int prepared;  /* ready: lo is up, the host's mounts and capabilities are gone */
    int *made;     /* ready, beforehand: the tmpfs of each operation that wants one; or NULL */
    int mask_fd;   /* an empty read-only tmpfs that masks directories, once made; or -1 */
    int parent_fd; /* of the directory `parent`, see target_parent; or -1 */
    unsigned parent_symlinks;
    char parent[4096];
    int slot[PLAN_SLOTS_MAX];
    int lower[PLAN_LOWERS_MAX]; /* the layers of the next overlay, the uppermost first: `lowers` of them */
    unsigned lowers;
    int target_pid;         /* on the host's side: whose limits are set; 0: this process's */
    int stream[STREAMS];    /* the command's, where they may have to be given to it; or -1 */
    struct person person;   /* the command's user */
    int calls_channel;      /* the command's: where to send the descriptor that tells of its calls; or -1 */
    int ruleset_fd;         /* of Landlock, while it is made; or -1 */
    uint64_t ruleset_fs;    /* what it restricts of the file system */
    uint64_t capabilities;  /* that the command keeps */
    char words[192];        /* why the operation failed, where its name and errno do not tell; or empty */
    /* The inner half gets the host's slots when it first needs one, so that both sides work at the same time until then.
   * Fills work->slot. 0 or -errno. NULL once done. */
    int (*fetch_slots)(struct work *work);
    /* Something worth telling that is no failure; called with a static text. */
    void (*note)(const struct plan_op *op, const char *text);
};

/* Every fd is -1. */
void work_init(struct work *work, const struct plan *plan);

/* The fd in an operation's slot, -1 if it is empty, or another -errno. */
int work_slot(struct work *work, const struct plan_op *op);

/* Does the plan's operations of one side in order. 0, or the first failure's -errno. */
int interpret(struct work *work, enum plan_side side, struct failure *failure);

/* A new tmpfs: mode, a = bytes, b = inodes. The detached mount's fd or -errno. */
int make_tmpfs(const struct plan_op *op);

/* The executors: 0 or -errno. */
int op_tree(struct work *work, const struct plan_op *op);
int op_lower(struct work *work, const struct plan_op *op);
int op_overlay(struct work *work, const struct plan_op *op);
int op_state_mkdir(struct work *work, const struct plan_op *op);
int op_propagation(struct work *work, const struct plan_op *op);
int op_root(struct work *work, const struct plan_op *op);
int op_tmpfs(struct work *work, const struct plan_op *op);
int op_attach(struct work *work, const struct plan_op *op);
int op_sysfs(struct work *work, const struct plan_op *op);
int op_proc(struct work *work, const struct plan_op *op);
int op_devpts(struct work *work, const struct plan_op *op);
int op_mqueue(struct work *work, const struct plan_op *op);
int op_mkdir(struct work *work, const struct plan_op *op);
int op_symlink(struct work *work, const struct plan_op *op);
int op_file(struct work *work, const struct plan_op *op);
int op_mask(struct work *work, const struct plan_op *op);
int op_readonly(struct work *work, const struct plan_op *op);
int op_pivot_root(struct work *work, const struct plan_op *op);
int op_remount_readonly(struct work *work, const struct plan_op *op);
int op_hostname(struct work *work, const struct plan_op *op);
int op_domainname(struct work *work, const struct plan_op *op);
int op_loopback_up(struct work *work, const struct plan_op *op);
int op_unshare(struct work *work, const struct plan_op *op);
int op_sysctl(struct work *work, const struct plan_op *op);
int op_dumpable(struct work *work, const struct plan_op *op);
int op_no_new_privs(struct work *work, const struct plan_op *op);
int op_drop_capabilities(struct work *work, const struct plan_op *op);
int op_session_keyring(struct work *work, const struct plan_op *op);
int op_umask(struct work *work, const struct plan_op *op);
int op_time_offsets(struct work *work, const struct plan_op *op);
int op_landlock(struct work *work, const struct plan_op *op);
int op_landlock_path(struct work *work, const struct plan_op *op);
int op_landlock_port(struct work *work, const struct plan_op *op);
int op_landlock_restrict(struct work *work, const struct plan_op *op);
int op_seccomp(struct work *work, const struct plan_op *op);
int op_raise_rlimit(struct work *work, const struct plan_op *op);
int op_nice(struct work *work, const struct plan_op *op);
int op_oom_score_adj(struct work *work, const struct plan_op *op);
int op_user(struct work *work, const struct plan_op *op);
int op_group(struct work *work, const struct plan_op *op);

/* The plan's rlimits, for this process: the command, right before its execve. 0 or -errno. */
int set_limits(const struct plan *plan, struct failure *failure);

/* Maps a detached mount's owners into the sandbox: what root owns there, root owns inside. 0 or -errno, -EBADF where there is no map. */
int map_owners(const struct work *work, int tree, uint64_t attributes, unsigned recursive);

#endif
