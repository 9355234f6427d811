/* Decoding a plan. Pure: test/fuzz/plan-decode.c mutates every byte of real plans against it. */
#include "../plan.h"

#include <errno.h>
#include <string.h>

struct cursor {
    const unsigned char *at, *end;
    int broken;
};

enum { HOST = 1, INNER = 2, BOTH = 3 }; /* bits of (1 << side) >> 1 */
enum { BYTES = 4 };                     /* beside them: the last string is bytes, which may be 0 */

/* What an operation of each type must look like on the wire. */
static const struct shape {
    char name[20]; /* in place: a pointer would have to be relocated at every start */
    uint8_t sides, strings, slot; /* slot: 0 none, 1 needed, 2 may be -1 */
} shapes[OP_COUNT] = {
        [OP_TREE] = {"tree", BOTH, 1, 1},
        [OP_OVERLAY] = {"overlay", BOTH, 2, 1},
        [OP_STATE_MKDIR] = {"state_mkdir", BOTH, 1, 0},
        [OP_PROPAGATION] = {"propagation", INNER, 0, 0},
        [OP_ROOT] = {"root", INNER, 0, 2},
        [OP_TMPFS] = {"tmpfs", INNER, 1, 0},
        [OP_ATTACH] = {"attach", INNER, 1, 1},
        [OP_PROC] = {"proc", INNER, 1, 0},
        [OP_DEVPTS] = {"devpts", INNER, 1, 0},
        [OP_MQUEUE] = {"mqueue", INNER, 1, 0},
        [OP_MKDIR] = {"mkdir", INNER, 1, 0},
        [OP_SYMLINK] = {"symlink", INNER, 2, 0},
        [OP_FILE] = {"file", INNER, 2, 0},
        [OP_MASK] = {"mask", INNER, 1, 1},
        [OP_READONLY] = {"readonly", INNER, 1, 0},
        [OP_PIVOT_ROOT] = {"pivot_root", INNER, 0, 0},
        [OP_REMOUNT_READONLY] = {"remount_readonly", INNER, 1, 0},
        [OP_HOSTNAME] = {"hostname", INNER, 1, 0},
        [OP_DOMAINNAME] = {"domainname", INNER, 1, 0},
        [OP_LOOPBACK_UP] = {"loopback_up", INNER, 0, 0},
        [OP_UNSHARE] = {"unshare", INNER, 0, 0},
        [OP_SYSCTL] = {"sysctl", INNER, 2, 0},
        [OP_DUMPABLE] = {"dumpable", INNER, 0, 0},
        [OP_NO_NEW_PRIVS] = {"no_new_privs", INNER, 0, 0},
        [OP_DROP_CAPABILITIES] = {"drop_capabilities", INNER, 0, 0},
        [OP_SESSION_KEYRING] = {"session_keyring", INNER, 0, 0},
        [OP_RLIMIT] = {"rlimit", INNER, 0, 0},
        [OP_UMASK] = {"umask", INNER, 0, 0},
        [OP_SECCOMP] = {"seccomp", INNER | BYTES, 2, 0},
        [OP_LOWER] = {"lower", BOTH, 1, 0},
        [OP_SYSFS] = {"sysfs", INNER, 1, 0},
        [OP_RAISE_RLIMIT] = {"raise_rlimit", HOST, 0, 0},
        [OP_NICE] = {"nice", HOST, 0, 0},
        [OP_OOM_SCORE_ADJ] = {"oom_score_adj", HOST, 0, 0},
        [OP_USER] = {"user", INNER, 2, 0},
        [OP_GROUP] = {"group", INNER, 1, 0},
        [OP_TIME_OFFSETS] = {"time_offsets", INNER, 1, 0},
        [OP_LANDLOCK] = {"landlock", INNER, 0, 0},
        [OP_LANDLOCK_PATH] = {"landlock_path", INNER, 1, 0},
        [OP_LANDLOCK_PORT] = {"landlock_port", INNER, 0, 0},
        [OP_LANDLOCK_RESTRICT] = {"landlock_restrict", INNER, 0, 0},
        [OP_LIFETIME] = {"lifetime", HOST, 0, 0},
        [OP_SECCOMP_LOG] = {"seccomp_log", INNER | BYTES, 2, 0},
};

const char *plan_op_name(unsigned op) {
    return op < OP_COUNT && shapes[op].name[0] != 0 ? shapes[op].name : "unknown";
}

const struct plan_op *plan_find(const struct plan *plan, unsigned op) {
    for (unsigned i = 0; i < plan->ops; i++)
        if (plan->op[i].op == op) return &plan->op[i];
    return NULL;
}

uint32_t plan_outside_id(const struct plan_map *map, unsigned maps, uint32_t inside) {
    for (unsigned i = 0; i < maps; i++)
        if (inside >= map[i].inside && inside - map[i].inside < map[i].count) return map[i].outside + (inside - map[i].inside);
    return PLAN_NO_ID;
}

static uint64_t number(struct cursor *c, size_t size) {
    uint64_t value = 0;
    if (c->broken || (size_t)(c->end - c->at) < size) {
        c->broken = 1;
        return 0;
    }
    for (size_t i = 0; i < size; i++) value |= (uint64_t)c->at[i] << (8 * i);
    c->at += size;
    return value;
}

static const char *string(struct cursor *c, uint32_t *length, int bytes) {
    uint32_t n = (uint32_t)number(c, 4);
    const unsigned char *start = c->at;
    if (length != NULL) *length = n;
    if (c->broken || n >= (size_t)(c->end - start) || start[n] != 0 || (!bytes && memchr(start, 0, n) != NULL)) {
        c->broken = 1;
        return "";
    }
    c->at = start + n + 1;
    return (const char *)start;
}

static int decode_maps(struct cursor *c, struct plan_map *map, unsigned maps) {
    for (unsigned i = 0; i < maps; i++) {
        map[i].inside = (uint32_t)number(c, 4);
        map[i].outside = (uint32_t)number(c, 4);
        map[i].count = (uint32_t)number(c, 4);
        if (c->broken || map[i].count == 0) return -EBADMSG;
        /* The last id is the kernel's "no id", so a range may not reach it. */
        if (map[i].inside > UINT32_MAX - map[i].count || map[i].outside > UINT32_MAX - map[i].count) return -EBADMSG;
    }
    return 0;
}

static int decode_joins(struct cursor *c, struct plan *plan) {
    uint32_t seen = 0;
    for (unsigned i = 0; i < plan->joins; i++) {
        uint32_t flag = (uint32_t)number(c, 4), zero = (uint32_t)number(c, 4);
        plan->join[i] = (struct plan_join){flag, number(c, 8), number(c, 8)};
        /* One bit of those, and none that is new or joined already. */
        if (c->broken || zero != 0 || (flag & PLAN_NAMESPACES) == 0 || (flag & (flag - 1)) != 0) return -EBADMSG;
        if (((seen | plan->namespaces) & flag) != 0) return -EBADMSG;
        seen |= flag;
    }
    return 0;
}

static int decode_op(struct cursor *c, struct plan_op *op) {
    op->done = 0;
    op->op = (uint16_t)number(c, 2);
    op->side = (uint8_t)number(c, 1);
    op->strings = (uint8_t)number(c, 1);
    op->flags = (uint32_t)number(c, 4);
    op->slot = (int32_t)(uint32_t)number(c, 4);
    op->mode = (uint32_t)number(c, 4);
    op->uid = (uint32_t)number(c, 4);
    op->gid = (uint32_t)number(c, 4);
    op->a = number(c, 8);
    op->b = number(c, 8);
    if (c->broken || op->op == 0 || op->op >= OP_COUNT) return -EBADMSG;
    const struct shape *shape = &shapes[op->op];
    if (op->side != PLAN_HOST && op->side != PLAN_INNER) return -EBADMSG;
    if ((shape->sides & op->side) == 0 || op->strings != shape->strings) return -EBADMSG;
    if ((op->flags & ~(uint32_t)PF_ALL) != 0 || op->mode > 07777) return -EBADMSG;
    if (op->slot < -1 || op->slot >= (int32_t)PLAN_SLOTS_MAX) return -EBADMSG;
    if ((shape->slot == 0 && op->slot != -1) || (shape->slot == 1 && op->slot == -1)) return -EBADMSG;
    for (unsigned i = 0; i < op->strings; i++) op->string[i] = string(c, &op->length[i], (shape->sides & BYTES) != 0 && i + 1u == op->strings);
    return c->broken ? -EBADMSG : 0;
}

int plan_decode(const void *buf, size_t len, struct plan *plan) {
    struct cursor c = {buf, (const unsigned char *)buf + len, 0};
    int result;

    if (len > PLAN_SIZE_MAX) return -EFBIG;
    if (number(&c, 4) != PLAN_MAGIC) return -EBADMSG;
    if (number(&c, 4) != PLAN_VERSION) return c.broken ? -EBADMSG : -EPROTONOSUPPORT;
    if (number(&c, 4) != len) return -EBADMSG;
    plan->kind = (uint8_t)number(&c, 1);
    plan->setgroups_deny = (uint8_t)number(&c, 1);
    if (number(&c, 2) != 0 || plan->setgroups_deny > 1) return -EBADMSG;
    if (plan->kind != PLAN_RUN && plan->kind != PLAN_ENTER) return -EBADMSG;
    plan->namespaces = (uint32_t)number(&c, 4);
    plan->log_bytes_max = number(&c, 8);
    plan->uid = (uint32_t)number(&c, 4);
    plan->gid = (uint32_t)number(&c, 4);
    plan->uid_maps = (uint16_t)number(&c, 2);
    plan->gid_maps = (uint16_t)number(&c, 2);
    plan->ops = (uint16_t)number(&c, 2);
    plan->argc = (uint16_t)number(&c, 2);
    plan->envc = (uint16_t)number(&c, 2);
    plan->joins = (uint16_t)number(&c, 2);
    if (c.broken || plan->joins > PLAN_JOINS_MAX) return -EBADMSG;
    if (plan->uid_maps > PLAN_MAPS_MAX || plan->gid_maps > PLAN_MAPS_MAX || plan->ops > PLAN_OPS_MAX) return -EFBIG;
    if (plan->argc > PLAN_ARGS_MAX || plan->envc > PLAN_ARGS_MAX) return -EFBIG;
    if (plan->uid_maps == 0 || plan->gid_maps == 0 || plan->argc == 0) return -EBADMSG;
    if ((result = decode_maps(&c, plan->uid_map, plan->uid_maps)) != 0) return result;
    if ((result = decode_maps(&c, plan->gid_map, plan->gid_maps)) != 0) return result;
    if ((result = decode_joins(&c, plan)) != 0) return result;
    for (unsigned i = 0; i < plan->ops; i++)
        if ((result = decode_op(&c, &plan->op[i])) != 0) return result;
    for (unsigned i = 0; i < plan->argc; i++) plan->argv[i] = string(&c, NULL, 0);
    plan->argv[plan->argc] = NULL;
    for (unsigned i = 0; i < plan->envc; i++) plan->envp[i] = string(&c, NULL, 0);
    plan->envp[plan->envc] = NULL;
    plan->cwd = string(&c, NULL, 0);
    return c.broken || c.at != c.end || plan->argv[0][0] == 0 ? -EBADMSG : 0;
}
