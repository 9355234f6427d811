/* `shim keep`: makes namespaces and mounts each on a file, where they live without a process: what `ip netns add` does for network ones and
 * unshare(1) for most others. A pid namespace cannot be kept so: it ends with its first process.
 *
 * PLAN_FD holds words, each with its NUL, in pairs: `shared <directory>` or `private <directory>` (made a mount point of that propagation),
 * then `<type> <file>` (the file is made, and a new namespace mounted on it). `source <path>` before it mounts that one instead: the agent names a
 * descriptor that it has verified. `release <directory>` unmounts a mount point on which nothing is kept any more. All of it or nothing is left. */
#include "attend.h"
#include "connection.h"
#include "load.h"
#include "modes.h"
#include "sys.h"
#include "text.h"

#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

enum { WORDS_SIZE = 16384, FILES_MAX = 8, CPUS_MAX = 1024 };

static const struct {
    char name[8]; /* no pointers in tables: they would have to be relocated at each start */
    uint64_t flag;
    char link[20]; /* below /proc/<pid>/ns: unshare(2) gives a time namespace to the children only */
} types[] = {
    {"mnt", SYS_CLONE_NEWNS, "mnt"},    {"cgroup", SYS_CLONE_NEWCGROUP, "cgroup"}, {"uts", SYS_CLONE_NEWUTS, "uts"},
    {"ipc", SYS_CLONE_NEWIPC, "ipc"},   {"user", SYS_CLONE_NEWUSER, "user"},       {"net", SYS_CLONE_NEWNET, "net"},
    {"time", SYS_CLONE_NEWTIME, "time_for_children"},
};
enum { TYPES = sizeof types / sizeof *types };

struct keep {
    char words[WORDS_SIZE];
    struct {
        unsigned type;
        const char *path;
        const char *source; /* NULL: a new one */
        int created, mounted;
    } file[FILES_MAX];
    unsigned files;
    uint64_t flags; /* what is to be new */
    const char *source;
    int released;
};

/* A mount point of its own, as ip-netns(8) makes /run/netns: mounting below then does not depend on what the host has made of /run. */
static int make_mount_point(const char *directory, unsigned long propagation) {
    int result = SYS(SYS_mount, "", directory, "none", propagation | MS_REC, NULL);
    if (result != -EINVAL) return result;
    if ((result = SYS(SYS_mount, directory, directory, "none", MS_BIND | MS_REC, NULL)) < 0) return result;
    return SYS(SYS_mount, "", directory, "none", propagation | MS_REC, NULL);
}

static int take_pair(struct keep *keep, const char *verb, const char *path, struct failure *failure) {
    int shared = strcmp(verb, "shared") == 0;
    if (shared || strcmp(verb, "private") == 0) {
        int result = make_mount_point(path, shared ? MS_SHARED : MS_PRIVATE);
        return result < 0 ? fail(failure, result, -1, "mount_point", path) : 0;
    }
    if (strcmp(verb, "release") == 0) {
        /* EBUSY: somebody keeps something there again; EINVAL: it is no mount point. Both are as they should be. */
        SYS(SYS_umount2, path, UMOUNT_NOFOLLOW);
        keep->released = 1;
        return 0;
    }
    if (strcmp(verb, "source") == 0) {
        keep->source = path;
        return 0;
    }
    for (unsigned i = 0; i < TYPES; i++) {
        if (strcmp(verb, types[i].name) != 0) continue;
        if (keep->files == FILES_MAX || (keep->flags & types[i].flag) != 0) return fail(failure, EINVAL, -1, "words", verb);
        if (keep->source == NULL) keep->flags |= types[i].flag;
        keep->file[keep->files].type = i;
        keep->file[keep->files].source = keep->source;
        keep->file[keep->files++].path = path;
        keep->source = NULL;
        return 0;
    }
    return fail(failure, EINVAL, -1, "words", verb);
}

static int read_words(struct keep *keep, struct failure *failure) {
    int size = SYS(SYS_pread64, PLAN_FD, keep->words, WORDS_SIZE, 0);
    if (size < 0) return fail(failure, size, -1, "words", "read");
    if (size == 0 || size == WORDS_SIZE || keep->words[size - 1] != 0) return fail(failure, EBADMSG, -1, "words", "size");
    for (const char *at = keep->words, *end = keep->words + size; at < end;) {
        const char *path = at + strlen(at) + 1;
        if (path >= end) return fail(failure, EBADMSG, -1, "words", at);
        int result = take_pair(keep, at, path, failure);
        if (result < 0) return result;
        at = path + strlen(path) + 1;
    }
    return keep->files == 0 && !keep->released ? fail(failure, EBADMSG, -1, "words", "no type") : 0;
}

static int create_files(struct keep *keep, struct failure *failure) {
    for (unsigned i = 0; i < keep->files; i++) {
        int fd = SYS(SYS_openat, AT_FDCWD, keep->file[i].path, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0);
        if (fd < 0) return fail(failure, fd, -1, "create", keep->file[i].path);
        keep->file[i].created = 1;
        sys_close(fd);
    }
    return 0;
}

/* CPU -1: wherever it runs. -ENODEV: there is none of that number, or not for this process. */
static int stay_on(int cpu) {
    uint64_t mask[CPUS_MAX / 64] = {0};
    if (cpu < 0) return 0;
    mask[cpu / 64] = 1ull << (cpu % 64);
    return SYS(SYS_sched_setaffinity, 0, sizeof mask, mask) < 0 ? -ENODEV : 0;
}

/* Makes them, says so on report, and waits until the other end of hold is closed. */
__attribute__((noreturn)) static void make_and_hold(uint64_t flags, int report, int hold, int cpu) {
    char byte;
    int result = stay_on(cpu);
    if (result == 0) result = SYS(SYS_unshare, flags);
    /* As unshare(1): what the host mounts later is not to appear in the new one, and keep alive there what the host takes away. */
    if (result == 0 && (flags & SYS_CLONE_NEWNS) != 0) result = SYS(SYS_mount, "", "/", "none", MS_PRIVATE | MS_REC, NULL);
    SYS(SYS_write, report, &result, sizeof result);
    while (SYS(SYS_read, hold, &byte, 1) == -EINTR) {
    }
    sys_exit(0);
}

static int mount_all(struct keep *keep, int pid, struct failure *failure) {
    for (unsigned i = 0; i < keep->files; i++) {
        char from[64];
        struct text text = TEXT(from);
        text_add(&text, "/proc/");
        text_number(&text, pid);
        text_add(&text, "/ns/");
        text_add(&text, types[keep->file[i].type].link);
        const char *source = keep->file[i].source != NULL ? keep->file[i].source : from;
        int result = SYS(SYS_mount, source, keep->file[i].path, "none", MS_BIND, NULL);
        if (result < 0) return fail(failure, result, -1, "mount", keep->file[i].path);
        keep->file[i].mounted = 1;
    }
    return 0;
}

static int make_on(struct keep *keep, int cpu, struct failure *failure) {
    int report[2], hold[2], pidfd = -1, made = -EIO;
    int result = SYS(SYS_pipe2, report, O_CLOEXEC);
    if (result == 0) result = SYS(SYS_pipe2, hold, O_CLOEXEC);
    if (result < 0) return fail(failure, result, -1, "pipe", "-");
    int pid = sys_clone(0, &pidfd);
    if (pid == 0) {
        sys_close(hold[1]);
        sys_close(CONTROL_FD);
        make_and_hold(keep->flags, report[1], hold[0], cpu);
    }
    if (pid < 0) return fail(failure, pid, -1, "fork", "-");
    sys_close(report[1]);
    sys_close(hold[0]);
    SYS(SYS_read, report[0], &made, sizeof made);
    result = made < 0 ? fail(failure, made, -1, "unshare", "-") : mount_all(keep, pid, failure);
    sys_close(hold[1]);
    SYS(SYS_kill, pid, SIGKILL);
    SYS(SYS_wait4, pid, NULL, __WALL, NULL);
    sys_close(report[0]);
    close_now(&pidfd);
    return result;
}

static void unmount_all(struct keep *keep) {
    for (unsigned i = keep->files; i-- > 0;) {
        if (keep->file[i].mounted) SYS(SYS_umount2, keep->file[i].path, MNT_DETACH | UMOUNT_NOFOLLOW);
        keep->file[i].mounted = 0;
    }
}

/* A mount namespace can be mounted only into one with a lower number (else it could hold itself), and Linux 6.18 gives numbers out in a batch
 * a CPU: a new one may well have a lower number than this one, by which mount(2) says EINVAL. Then it is made again, on each CPU in turn. */
static int make(struct keep *keep, struct failure *failure) {
    int result = make_on(keep, -1, failure);
    for (int cpu = 0; cpu < CPUS_MAX && result == -EINVAL && (keep->flags & SYS_CLONE_NEWNS) != 0; cpu++) {
        struct failure other;
        unmount_all(keep);
        int again = make_on(keep, cpu, &other);
        if (again == -ENODEV) continue;
        result = again;
        *failure = other;
    }
    return result;
}

/* What was made of it, undone. */
static void undo(struct keep *keep) {
    unmount_all(keep);
    for (unsigned i = keep->files; i-- > 0;)
        if (keep->file[i].created) SYS(SYS_unlinkat, AT_FDCWD, keep->file[i].path, 0);
}

int keep_main(void) {
    static struct keep keep; /* static: 16 KiB, zeroed */
    struct failure failure;
    struct connection agent = {.fd = CONTROL_FD};
    int result = read_words(&keep, &failure);
    if (result == 0) result = create_files(&keep, &failure);
    if (result == 0 && keep.files > 0) result = make(&keep, &failure);
    if (result == 0) {
        connection_send_exit(&agent, 0, 0, 0, NULL);
        return 0;
    }
    undo(&keep);
    return attend_failed(&failure);
}
