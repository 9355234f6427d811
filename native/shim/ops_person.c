/* Finding the command's ids: after the pivot (or in who has entered), so `/` is the sandbox's, with the rights of its root and no more. */
#include "accounts.h"
#include "interpret.h"
#include "person.h"
#include "sys.h"
#include "text.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define PROC_MAGIC 0x9fa0

static struct accounts accounts;

void person_init(struct person *person, const struct plan *plan) {
    person->uid = plan->uid;
    person->gid = plan->gid;
    person->groups = 0;
    person->home[0] = person->name[0] = person->shell[0] = 0;
}

/* The failure's detail: `www: no such user in /etc/passwd`. */
static int refuse(struct work *work, int errnum, const char *who, const char *why) {
    struct text text = TEXT(work->words);
    text_add_safe(&text, who);
    text_add(&text, ": ");
    text_add(&text, why);
    return -errnum;
}

/* -ENODEV: no regular file, or one of procfs, which may wait or tell of somebody else. A FIFO does not keep us: it is opened without waiting. */
static int open_accounts(const char *path) {
    struct stat st;
    struct statfs fs;
    OWNED_FD root = SYS(SYS_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (root < 0) return root;
    OWNED_FD fd = sys_openat2(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_MAGICLINKS);
    if (fd < 0) return fd;
    int result = SYS(SYS_fstat, fd, &st);
    if (result == 0) result = SYS(SYS_fstatfs, fd, &fs);
    if (result < 0) return result;
    if (!S_ISREG(st.st_mode) || fs.f_type == PROC_MAGIC) return -ENODEV;
    if (st.st_size > (off_t)ACCOUNTS_SIZE_MAX) return -EFBIG;
    result = fd;
    fd = -1;
    return result;
}

static const char *because(int result, const char *none, const char *broken) {
    switch (result) {
        case 0: return none;
        case -ENODEV: return "the file of names is no regular file";
        case -EFBIG: return "the file of names, or a line of it, is too long";
        case -EBADMSG: return broken;
        case -ELOOP: return "the file of names is a link that leads nowhere";
    }
    return "the file of names cannot be read";
}

/* Whatever of the text fits: `HOME=` and the words. -ENAMETOOLONG. */
static int set(char *into, const char *prefix, struct words words) {
    size_t length = strlen(prefix);
    if (words.length == 0) return 0;
    if (length + words.length >= PERSON_TEXT_MAX) return -ENAMETOOLONG;
    memcpy(into, prefix, length);
    memcpy(into + length, words.at, words.length);
    into[length + words.length] = 0;
    return 0;
}

static int know(struct person *person, const struct passwd_entry *entry) {
    int result = set(person->home, "HOME=", entry->home);
    if (result == 0) result = set(person->name, "USER=", entry->name);
    return result == 0 ? set(person->shell, "SHELL=", entry->shell) : result;
}

/* 1 known, 0 unknown, or -errno. */
static int look_up(struct person *person, const char *name, int wants_group) {
    struct passwd_entry entry;
    OWNED_FD fd = open_accounts("etc/passwd");
    if (fd < 0) return fd;
    accounts_begin(&accounts, fd);
    int result = passwd_find(&accounts, name, person->uid, &entry);
    if (result <= 0) return result;
    if (name != NULL) person->uid = entry.uid;
    if (wants_group) person->gid = entry.gid;
    result = know(person, &entry);
    return result < 0 ? result : 1;
}

static int add_group(struct person *person, uint32_t gid) {
    for (unsigned i = 0; i < person->groups; i++)
        if (person->group[i] == gid) return 0;
    if (person->groups == PERSON_GROUPS_MAX) return -EFBIG;
    person->group[person->groups++] = gid;
    return 0;
}

/* As initgroups(3). */
static int add_groups_of(struct person *person, const char *user) {
    struct group_entry entry;
    OWNED_FD fd = open_accounts("etc/group");
    if (fd < 0) return fd == -ENOENT ? 0 : fd;
    accounts_begin(&accounts, fd);
    for (;;) {
        int result = group_of(&accounts, user, &entry);
        if (result <= 0) return result;
        if ((result = add_group(person, entry.gid)) < 0) return result;
    }
}

static int find_group(const char *name, uint32_t *gid) {
    struct group_entry entry;
    OWNED_FD fd = open_accounts("etc/group");
    if (fd < 0) return fd;
    accounts_begin(&accounts, fd);
    int result = group_find(&accounts, name, &entry);
    if (result > 0) *gid = entry.gid;
    return result;
}

static int group_by_name(struct work *work, const char *name, uint32_t *gid) {
    int result = find_group(name, gid);
    if (result > 0) return 0;
    return refuse(work, result == 0 ? ESRCH : -result, name, because(result, "no such group in /etc/group", "its line in /etc/group is malformed"));
}

static int has_ids(const struct plan *plan, const struct person *person) {
    return plan_outside_id(plan->uid_map, plan->uid_maps, person->uid) != PLAN_NO_ID &&
             plan_outside_id(plan->gid_map, plan->gid_maps, person->gid) != PLAN_NO_ID;
}

/* So that /dev/stdout can be opened again: who made the pipes did not know whose they would be. Pipes only: else it is somebody's file. */
static void give_streams(const struct work *work) {
    for (unsigned i = 0; i < STREAMS; i++) {
        struct stat st;
        if (work->stream[i] < 0 || SYS(SYS_fstat, work->stream[i], &st) < 0 || !S_ISFIFO(st.st_mode)) continue;
        SYS(SYS_fchown, work->stream[i], work->person.uid, work->person.gid);
    }
}

int op_user(struct work *work, const struct plan_op *op) {
    const struct plan *plan = work->plan;
    struct person *person = &work->person;
    const char *name = op->string[0], *group = op->string[1];
    int by_name = name[0] != 0, wants_group = plan->gid == PLAN_NO_ID && group[0] == 0;
    const char *who = by_name ? name : "the user";
    int result;

    if (!by_name && plan->uid == PLAN_NO_ID) return -EINVAL;
    result = look_up(person, by_name ? name : NULL, wants_group);
    if (result <= 0 && by_name)
        return refuse(work, result == 0 ? ESRCH : -result, who, because(result, "no such user in /etc/passwd", "its line in /etc/passwd is malformed"));
    if (person->home[0] == 0) memcpy(person->home, "HOME=/", sizeof "HOME=/");
    if (result < 0 && result != -ENOENT && wants_group) return refuse(work, -result, who, because(result, "", "/etc/passwd is malformed"));
    if (person->gid == PLAN_NO_ID && wants_group) person->gid = person->uid;
    if (group[0] != 0 && (result = group_by_name(work, group, &person->gid)) < 0) return result;
    if (by_name && (result = add_groups_of(person, name)) < 0) return refuse(work, -result, who, because(result, "", "its groups"));
    if (!has_ids(plan, person)) return refuse(work, EINVAL, who, "its uid or gid is not among the sandbox's ids");
    if (plan->uid == PLAN_NO_ID || plan->gid == PLAN_NO_ID) give_streams(work);
    return 0;
}

int op_group(struct work *work, const struct plan_op *op) {
    uint32_t gid = op->gid;
    int result;
    if (op->string[0][0] != 0 && (result = group_by_name(work, op->string[0], &gid)) < 0) return result;
    if (plan_outside_id(work->plan->gid_map, work->plan->gid_maps, gid) == PLAN_NO_ID) return refuse(work, EINVAL, op->string[0][0] != 0 ? op->string[0] : "the group", "its gid is not among the sandbox's ids");
    return add_group(&work->person, gid);
}
