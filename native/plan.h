/* The wire form of a plan: what agent/sandbox/plan.ts decides and the shim does.
 *
 * One buffer, little-endian, unaligned, at most PLAN_SIZE_MAX bytes:
 *   header   magic u32 · version u32 · length u32 (of the whole buffer) · kind u8 · setgroups_deny u8 · 0 u16
 *            namespaces u32 (clone flags) · log_bytes_max u64 · uid u32 · gid u32
 *            uid maps u16 · gid maps u16 · operations u16 · argv u16 · env u16 · joins u16
 *   maps     inside u32 · outside u32 · count u32            (uid maps, then gid maps)
 *   joins    clone flag u32 · 0 u32 · id u64 (0: the kernel has none) · inode u64, in the order in which their descriptors come
 *   op       op u16 · side u8 · strings u8 · flags u32 · slot i32 · mode u32 · uid u32 · gid u32 · a u64 · b u64, then its strings
 *   strings  length u32 · bytes (no NUL among them, but for a filter's program) · NUL
 *   tail     argv strings · env strings · cwd string; the buffer ends there exactly
 * The encoder is native/plan-wire.ts; both sides must change together, with PLAN_VERSION. */
#ifndef NSFLEET_PLAN_H
#define NSFLEET_PLAN_H

#include <stddef.h>
#include <stdint.h>

#define PLAN_MAGIC 0x5046534eu /* "NSFP" */
#define PLAN_VERSION 1u
#define PLAN_SIZE_MAX (1024u * 1024u)
#define PLAN_OPS_MAX 256u
#define PLAN_MAPS_MAX 8u
#define PLAN_JOINS_MAX 8u    /* of each type one */
#define PLAN_NAMESPACES 0x7e020080u /* every CLONE_NEW… */
#define PLAN_ARGS_MAX 4096u  /* of argv and of env, each */
#define PLAN_SLOTS_MAX 64u   /* below the kernel's 253 descriptors a message */
#define PLAN_STRINGS_MAX 3u
#define PLAN_LOWERS_MAX 128u  /* docker's images have at most 127 layers */

enum plan_kind { PLAN_RUN = 1, PLAN_ENTER = 2 };
enum plan_side { PLAN_HOST = 1, PLAN_INNER = 2 };

/* The numbers are the wire's: append only. */
enum plan_op_type {
    OP_TREE = 1, OP_OVERLAY, OP_STATE_MKDIR, OP_PROPAGATION, OP_ROOT, OP_TMPFS, OP_ATTACH, OP_PROC, OP_DEVPTS, OP_MQUEUE,
    OP_MKDIR, OP_SYMLINK, OP_FILE, OP_MASK, OP_READONLY, OP_PIVOT_ROOT, OP_REMOUNT_READONLY, OP_HOSTNAME, OP_DOMAINNAME,
    OP_LOOPBACK_UP, OP_UNSHARE, OP_SYSCTL, OP_DUMPABLE, OP_NO_NEW_PRIVS, OP_DROP_CAPABILITIES, OP_SESSION_KEYRING,
    OP_RLIMIT, OP_UMASK, OP_SECCOMP, OP_LOWER, OP_SYSFS, OP_RAISE_RLIMIT, OP_NICE, OP_OOM_SCORE_ADJ, OP_USER, OP_GROUP, OP_TIME_OFFSETS,
    OP_LANDLOCK, OP_LANDLOCK_PATH, OP_LANDLOCK_PORT, OP_LANDLOCK_RESTRICT,
    OP_LIFETIME, OP_SECCOMP_LOG,
    OP_COUNT
};

enum plan_flag {
    PF_READONLY = 1 << 0, PF_NOSUID = 1 << 1, PF_NODEV = 1 << 2, PF_NOEXEC = 1 << 3, PF_RECURSIVE = 1 << 4,
    PF_SYMLINKS = 1 << 5,         /* follow (host paths), or resolve inside the root (targets) */
    PF_OPTIONAL = 1 << 6,         /* a path that is not there is skipped; rlimit: at most what there is */
    PF_DEVICE = 1 << 7,           /* a = major, b = minor: the path must be this character device */
    PF_IDMAP = 1 << 8,            /* tree, overlay: map owners into the sandbox if the kernel can */
    PF_USERXATTR = 1 << 9,
    PF_CREATE_FILE = 1 << 10, PF_CREATE_DIRECTORY = 1 << 11,
    PF_PLAIN = 1 << 12,           /* tree: a directory or a regular file, without a symlink on the way */
    PF_SLAVE = 1 << 13,           /* tree: what the host mounts below it later appears in it */
    PF_REPLACE = 1 << 14,         /* file: what has the name goes first */
    /* landlock: what it restricts; landlock_port: what it allows */
    PF_PATHS = 1 << 15, PF_BIND = 1 << 16, PF_CONNECT = 1 << 17, PF_ABSTRACT = 1 << 18, PF_SIGNALS = 1 << 19,
    PF_ALL = (1 << 20) - 1
};

#define PLAN_NO_ID 0xffffffffu /* uid, gid: leave; of the header: by name, see OP_USER */
#define PLAN_AS_IT_IS (UINT64_MAX - 1) /* b of rlimit: leave; UINT64_MAX is RLIM_INFINITY */

struct plan_op {
    uint16_t op;
    uint8_t side;
    uint8_t strings;
    uint32_t flags;
    int32_t slot; /* -1: none */
    uint32_t mode;
    uint32_t uid, gid;
    uint64_t a, b;
    const char *string[PLAN_STRINGS_MAX]; /* into the buffer */
    uint32_t length[PLAN_STRINGS_MAX];
    uint8_t done; /* not of the wire: made beforehand, see shim/prepare.c */
};

struct plan_join {
    uint32_t flag;
    uint64_t id, inode;
};

struct plan_map {
    uint32_t inside, outside, count;
};

struct plan {
    uint8_t kind, setgroups_deny;
    uint32_t namespaces;
    uint64_t log_bytes_max;
    uint32_t uid, gid;
    uint16_t uid_maps, gid_maps, ops, argc, envc, joins;
    struct plan_map uid_map[PLAN_MAPS_MAX], gid_map[PLAN_MAPS_MAX];
    struct plan_join join[PLAN_JOINS_MAX];
    struct plan_op op[PLAN_OPS_MAX];
    const char *argv[PLAN_ARGS_MAX + 1];
    const char *envp[PLAN_ARGS_MAX + 1];
    const char *cwd;
};

/* Decodes buf into plan, whose strings point into buf. 0, or -EBADMSG (malformed), -EPROTONOSUPPORT (version),
 * -EFBIG (a limit). Reads nothing but buf, writes nothing but *plan. */
int plan_decode(const void *buf, size_t len, struct plan *plan);

/* "mkdir" for OP_MKDIR; "unknown" for what is none. */
const char *plan_op_name(unsigned op);

/* The first operation of a type, or NULL. */
const struct plan_op *plan_find(const struct plan *plan, unsigned op);

/* The host's id for an id of the sandbox; PLAN_NO_ID if it has none. */
uint32_t plan_outside_id(const struct plan_map *map, unsigned maps, uint32_t inside);

#endif
