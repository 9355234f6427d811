#include "unpack.h"

#include "attend.h"
#include "caps.h"
#include "channel.h"
#include "connection.h"
#include "load.h"
#include "modes.h"
#include "proc_write.h"
#include "signals.h"
#include "sys.h"
#include "text.h"

#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Ids that nothing else has: those behind the default pool, below 2^31. With them the child is nobody on the host, and an idmapped mount turns
 * them into the ones that are written down. */
#define STRANGERS "0 2147418112 65536\n"
#define THEMSELVES "0 0 65536\n"
enum { DATA_FD = 0, CHILD_CHANNEL_FD = 1 };

struct unpack {
    int plain, channel, child, pidfd;
    char directory[4096]; /* plain: its path */
};

static int send_opaque(int directory) {
    struct message message;
    memset(&message, 0, sizeof message);
    message.type = MESSAGE_OPAQUE;
    return channel_send(CHILD_CHANNEL_FD, &message, &directory, 1);
}

__attribute__((noreturn)) static void tell(int channel, const struct failure *failure) {
    struct message message;
    memset(&message, 0, sizeof message);
    message.type = failure == NULL ? MESSAGE_EXITED : MESSAGE_FAILED;
    if (failure != NULL) message.failure = *failure;
    channel_send(channel, &message, NULL, 0);
    sys_exit(failure == NULL ? 0 : 1);
}

/* The directory's mount: from outside, or, as a plain user, copied here. */
static int take_mount(const struct unpack *unpack, int channel) {
    struct message message;
    int fds[PLAN_SLOTS_MAX], count, pid;
    if (channel_receive(channel, &message, fds, &count, &pid, 0) != 1 || message.type != MESSAGE_SLOTS) sys_exit(1);
    if (!unpack->plain) return count == 1 ? fds[0] : -EPROTO;
    struct stat here, given;
    OWNED_FD directory = SYS(SYS_openat, AT_FDCWD, unpack->directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (directory < 0) return directory;
    int result = SYS(SYS_fstat, directory, &here);
    if (result == 0) result = SYS(SYS_fstat, STATE_FD, &given);
    if (result < 0) return result;
    return here.st_dev == given.st_dev && here.st_ino == given.st_ino ? sys_clone_tree(directory, 1) : -ESTALE;
}

/* Nothing but the directory is left, and of root's powers only those over files. */
static int enter_directory(const struct unpack *unpack, int channel) {
    const unsigned long long files = CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_FSETID);
    int result;
    int mount = take_mount(unpack, channel);
    if (mount < 0) return mount;
    if (!unpack->plain && (result = SYS(SYS_setgroups, 0, NULL)) < 0) return result;
    if ((result = SYS(SYS_setresgid, 0, 0, 0)) < 0 || (result = SYS(SYS_setresuid, 0, 0, 0)) < 0) return result;
    /* After the ids, whose change clears it. */
    if ((result = SYS(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)) < 0) return result;
    if ((result = SYS(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0)) < 0) return result;
    OWNED_FD old = SYS(SYS_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (old < 0) return old;
    if ((result = sys_mount_setattr(old, 0, MS_PRIVATE, 1)) < 0) return result;
    if ((result = sys_mount_setattr(mount, SYS_ATTR_NOSUID | SYS_ATTR_NODEV | SYS_ATTR_NOEXEC, 0, 0)) < 0) return result;
    if ((result = sys_move_mount(mount, old)) < 0 || (result = SYS(SYS_fchdir, mount)) < 0) return result;
    if ((result = SYS(SYS_pivot_root, ".", ".")) < 0 || (result = SYS(SYS_fchdir, old)) < 0) return result;
    if ((result = SYS(SYS_umount2, ".", MNT_DETACH)) < 0 || (result = SYS(SYS_chdir, "/")) < 0) return result;
    if ((result = SYS(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) < 0 || (result = caps_forbid(0)) < 0) return result;
    return caps_set(files);
}

__attribute__((noreturn)) static void child_main(const struct unpack *unpack, int channel) {
    struct failure failure;
    int result = enter_directory(unpack, channel);
    if (result == 0) result = SYS(SYS_dup3, channel, CHILD_CHANNEL_FD, O_CLOEXEC);
    if (result < 0) {
        fail(&failure, result, -1, "enter", "-");
        tell(channel, &failure);
    }
    sys_close_range(CHILD_CHANNEL_FD + 1);
    tell(CHILD_CHANNEL_FD, unpack_tree(DATA_FD, unpack->plain, send_opaque, &failure) < 0 ? &failure : NULL);
}

static void end_child(struct unpack *unpack) {
    SYS(NR_PIDFD_SEND_SIGNAL, unpack->pidfd, SIGKILL, NULL, 0);
    SYS(SYS_wait4, unpack->child, NULL, 0, NULL);
    close_now(&unpack->pidfd);
    close_now(&unpack->channel);
}

static int write_maps(const struct unpack *unpack, const char *map) {
    char own[2][32] = {"", ""};
    int result;
    if (unpack->plain) {
        const uint32_t ids[2] = {sys_geteuid(), (uint32_t)SYS(SYS_getegid)};
        for (int i = 0; i < 2; i++) {
            struct text text = TEXT(own[i]);
            text_add(&text, "0 ");
            text_number(&text, ids[i]);
            text_add(&text, " 1\n");
        }
        if ((result = proc_write(unpack->child, "setgroups", "deny")) < 0) return result;
    }
    if ((result = proc_write(unpack->child, "uid_map", unpack->plain ? own[0] : map)) < 0) return result;
    return proc_write(unpack->child, "gid_map", unpack->plain ? own[1] : map);
}

/* A copy of the directory's mount. *mapped: with the child's ids turned into those that are written down. */
static int copy_mount(const struct unpack *unpack, int mapped) {
    char path[64];
    struct text text = TEXT(path);
    OWNED_FD mount = sys_clone_tree(STATE_FD, 0);
    int result = mount;
    if (mount >= 0 && mapped) {
        text_add(&text, "/proc/");
        text_number(&text, unpack->child);
        text_add(&text, "/ns/user");
        OWNED_FD userns = SYS(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        struct sys_mount_attr attr = {SYS_ATTR_IDMAP, 0, MS_PRIVATE, (uint64_t)userns};
        result = userns < 0 ? userns : SYS(NR_MOUNT_SETATTR, mount, "", SYS_EMPTY_PATH, &attr, sizeof attr);
    }
    if (result < 0) return result;
    result = mount;
    mount = -1;
    return result;
}

/* 0 or -errno with *failure filled; then there is no child. */
static int start(struct unpack *unpack, int mapped, struct failure *failure) {
    struct message message;
    int ends[2], result;
    const uint64_t namespaces =
        SYS_CLONE_NEWUSER | SYS_CLONE_NEWNS | SYS_CLONE_NEWPID | SYS_CLONE_NEWNET | SYS_CLONE_NEWIPC | SYS_CLONE_NEWUTS;
    if ((result = SYS(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) < 0) return fail(failure, result, -1, "channel", "-");
    unpack->child = sys_clone(namespaces, &unpack->pidfd);
    if (unpack->child == 0) {
        sys_close(CONTROL_FD);
        sys_close(ends[0]);
        child_main(unpack, ends[1]);
    }
    sys_close(ends[1]);
    unpack->channel = ends[0];
    if (unpack->child < 0) {
        close_now(&unpack->channel);
        return fail(failure, unpack->child, -1, "clone3", "namespaces");
    }
    OWNED_FD mount = -1;
    memset(&message, 0, sizeof message);
    message.type = MESSAGE_SLOTS;
    const char *step = "uid_map";
    if ((result = write_maps(unpack, mapped ? STRANGERS : THEMSELVES)) == 0 && !unpack->plain) {
        step = "mount";
        result = mount = copy_mount(unpack, mapped);
    }
    if (result >= 0) {
        step = "channel";
        result = channel_send(unpack->channel, &message, &mount, unpack->plain ? 0 : 1);
    }
    if (result >= 0) return 0;
    end_child(unpack);
    return fail(failure, result, -1, step, "-");
}

/* Only who is root on the host may set it. What comes is a directory of that file system and nothing else. */
static int set_opaque(int directory) {
    struct stat st, base;
    int result = SYS(SYS_fstat, directory, &st);
    if (result == 0) result = SYS(SYS_fstat, STATE_FD, &base);
    if (result < 0) return result;
    if (!S_ISDIR(st.st_mode) || st.st_dev != base.st_dev) return -EPERM;
    return SYS(SYS_fsetxattr, directory, "trusted.overlay.opaque", "y", 1, 0);
}

/* 0: the child is done with all of it; or -errno with *failure filled. */
static int hear(struct unpack *unpack, struct failure *failure) {
    struct message message;
    int fds[PLAN_SLOTS_MAX], count, pid, result;
    for (;;) {
        struct pollfd polled[] = {{unpack->channel, POLLIN, 0}, {CONTROL_FD, POLLIN, 0}};
        if (signals_poll(polled, 2) < 0) {
            if (signals_terminated) return fail(failure, EINTR, -1, "unpack", "ended");
            continue;
        }
        /* An agent that is gone, or has given up. */
        if (polled[1].revents != 0) return fail(failure, ECANCELED, -1, "unpack", "ended");
        if (channel_receive(unpack->channel, &message, fds, &count, &pid, 0) != 1) return fail(failure, EPIPE, -1, "unpack", "its child died");
        result = message.type != MESSAGE_OPAQUE ? 0 : count == 1 && !unpack->plain ? set_opaque(fds[0]) : -EPROTO;
        for (int i = 0; i < count; i++) sys_close(fds[i]);
        if (result < 0) return fail(failure, result, -1, "opaque", "-");
        if (message.type == MESSAGE_EXITED) return 0;
        if (message.type != MESSAGE_FAILED) continue;
        *failure = message.failure;
        return failure->errnum > 0 ? -failure->errnum : fail(failure, EPROTO, -1, "unpack", "message");
    }
}

int unpack_main(void) {
    struct unpack unpack = {.plain = sys_geteuid() != 0, .pidfd = -1, .channel = -1};
    struct failure failure;
    struct connection agent = {.fd = CONTROL_FD};
    if (unpack.plain) {
        int length = SYS(SYS_readlinkat, AT_FDCWD, "/proc/self/fd/5", unpack.directory, sizeof unpack.directory - 1);
        if (length < 0) {
            fail(&failure, length, -1, "directory", "-");
            return attend_failed(&failure);
        }
        unpack.directory[length] = 0;
    }
    int result = start(&unpack, !unpack.plain, &failure);
    /* A file system that cannot be idmapped: then by the ids themselves. */
    if (result < 0 && !unpack.plain && strcmp(failure.step, "mount") == 0) result = start(&unpack, 0, &failure);
    if (result == 0) {
        result = hear(&unpack, &failure);
        end_child(&unpack);
    }
    if (result < 0) return attend_failed(&failure);
    connection_send_exit(&agent, 0, 0, 0, NULL);
    return 0;
}
