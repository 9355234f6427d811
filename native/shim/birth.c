/* The outer half's way to a sandbox: clone3 with the namespaces, id maps from here (only here is the privilege to write them),
 * the host's operations, and the hand-over. */
#include "channel.h"
#include "interpret.h"
#include "load.h"
#include "run.h"
#include "sys.h"
#include "text.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int write_proc(int pid, const char *name, const char *content) {
    char path[64];
    struct text text = TEXT(path);
    text_add(&text, "/proc/");
    text_number(&text, pid);
    text_add(&text, "/");
    text_add(&text, name);
    OWNED_FD fd = SYS(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0) return fd;
    int n = SYS(SYS_write, fd, content, strlen(content));
    return n < 0 ? n : 0;
}

static int write_map(int pid, const char *name, const struct plan_map *map, unsigned maps) {
    char content[PLAN_MAPS_MAX * 36] = "";
    struct text text = TEXT(content);
    for (unsigned i = 0; i < maps; i++) {
        text_number(&text, map[i].inside);
        text_add(&text, " ");
        text_number(&text, map[i].outside);
        text_add(&text, " ");
        text_number(&text, map[i].count);
        text_add(&text, "\n");
    }
    return write_proc(pid, name, content);
}

static int map_ids(const struct plan *plan, int pid, struct failure *failure) {
    int result;
    /* A root agent is shielded from the OOM killer; a sandbox must not be. Refused where it would lower the score: then the
     * sandbox keeps a higher one, which is right too. */
    write_proc(pid, "oom_score_adj", "0");
    if (plan->setgroups_deny && (result = write_proc(pid, "setgroups", "deny")) < 0) return fail(failure, result, -1, "setgroups", "deny");
    if ((result = write_map(pid, "uid_map", plan->uid_map, plan->uid_maps)) < 0) return fail(failure, result, -1, "uid_map", "-");
    if ((result = write_map(pid, "gid_map", plan->gid_map, plan->gid_maps)) < 0) return fail(failure, result, -1, "gid_map", "-");
    return 0;
}

static int open_userns(const struct plan *plan, int pid) {
    char path[64];
    struct text text = TEXT(path);
    for (unsigned i = 0;; i++) {
        if (i == plan->ops) return -1;
        if (plan->op[i].side == PLAN_HOST && (plan->op[i].flags & PF_IDMAP) != 0) break;
    }
    text_add(&text, "/proc/");
    text_number(&text, pid);
    text_add(&text, "/ns/user");
    return SYS(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

static struct run *noting;

/* `note <op> <text>`: the agent may show it; the sandbox is made all the same. */
static void note(const struct plan_op *op, const char *words) {
    char line[256];
    struct text text = TEXT(line);
    text_add(&text, "note ");
    text_add(&text, plan_op_name(op->op));
    text_add(&text, " ");
    text_add_safe(&text, words);
    text_add(&text, "\n");
    connection_send(&noting->connection[CONNECTIONS_MAX], line);
}

/* The host's operations, while the inner half already works on its own; then what they made is sent to it. */
static int hand_over(struct run *run) {
    struct work work;
    struct message message;
    int fds[PLAN_SLOTS_MAX], result;

    work_init(&work, run->plan);
    work.state_fd = STATE_FD;
    work.userns_fd = open_userns(run->plan, run->init_pid);
    work.note = note;
    noting = run;
    memset(&message, 0, sizeof message);
    message.type = MESSAGE_GO;
    if ((result = channel_send(run->channel, &message, NULL, 0)) < 0) return fail(&run->failure, result, -1, "hand_over", "-");
    message.type = MESSAGE_SLOTS;
    result = interpret(&work, PLAN_HOST, &run->failure);
    for (unsigned i = 0; i < PLAN_SLOTS_MAX; i++) {
        if (work.slot[i] < 0) continue;
        message.slot[message.slots] = (unsigned char)i;
        fds[message.slots++] = work.slot[i];
    }
    if (result == 0) {
        result = channel_send(run->channel, &message, fds, message.slots);
        /* An inner half that failed meanwhile has said so: its message waits in the channel. */
        if (result == -EPIPE || result == -ECONNRESET) result = 0;
        if (result < 0) fail(&run->failure, result, -1, "hand_over", "-");
    }
    for (int i = 0; i < message.slots; i++) sys_close(fds[i]);
    close_now(&work.userns_fd);
    return result;
}

/* Pipes for the streams, owned by who will write to them: else /dev/stdout cannot be opened again inside. */
static int open_streams(struct run *run, int output[LOGS]) {
    uint32_t uid = plan_outside_id(run->plan->uid_map, run->plan->uid_maps, run->plan->uid);
    uint32_t gid = plan_outside_id(run->plan->gid_map, run->plan->gid_maps, run->plan->gid);
    for (int i = 0; i < LOGS; i++) {
        int ends[2];
        int result = SYS(SYS_pipe2, ends, O_CLOEXEC);
        if (result < 0) return result;
        run->log[i].pipe = ends[0];
        output[i] = ends[1];
        if ((result = SYS(SYS_fcntl, ends[0], F_SETFL, O_NONBLOCK)) < 0) return result;
        if (sys_geteuid() == 0) SYS(SYS_fchown, ends[1], uid, gid);
    }
    return 0;
}

static int open_channels(int channel[2], int report[2]) {
    int on = 1;
    int result = SYS(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel);
    if (result < 0) return result;
    if ((result = SYS(SYS_setsockopt, channel[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on)) < 0) return result;
    if ((result = SYS(SYS_pipe2, report, O_CLOEXEC)) < 0) return result;
    return SYS(SYS_fcntl, report[0], F_SETFL, O_NONBLOCK);
}

int run_birth(struct run *run) {
    int channel[2] = {-1, -1}, report[2] = {-1, -1}, output[LOGS] = {-1, -1};
    int result;

    if ((result = log_open(&run->log[0], STATE_FD, "stdout.log", "stdout.log.1", run->plan->log_bytes_max)) < 0)
        return fail(&run->failure, result, -1, "log", "stdout.log");
    if ((result = log_open(&run->log[1], STATE_FD, "stderr.log", "stderr.log.1", run->plan->log_bytes_max)) < 0)
        return fail(&run->failure, result, -1, "log", "stderr.log");
    if ((result = open_streams(run, output)) < 0) return fail(&run->failure, result, -1, "pipe", "-");
    if ((result = open_channels(channel, report)) < 0) return fail(&run->failure, result, -1, "channel", "-");

    run->init_pid = sys_clone(run->plan->namespaces & ~(uint64_t)SYS_CLONE_NEWCGROUP, &run->init_pidfd);
    if (run->init_pid == 0) {
        sys_close(CONTROL_FD);
        sys_close(channel[0]);
        inner_main(run->plan, channel[1], report[1], output);
    }
    if (run->init_pid < 0) {
        run->init_pidfd = -1;
        return fail(&run->failure, run->init_pid, -1, "clone3", "namespaces");
    }
    run->channel = channel[0];
    run->report = report[0];
    sys_close(channel[1]);
    sys_close(report[1]);
    for (int i = 0; i < LOGS; i++) sys_close(output[i]);

    result = map_ids(run->plan, run->init_pid, &run->failure);
    /* From here on nobody needs to look into this process; before, a plain user's id maps could not have been written. */
    if (result == 0 && (result = SYS(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0)) < 0) fail(&run->failure, result, -1, "dumpable", "-");
    if (result == 0) result = hand_over(run);
    if (result == 0 && (run->listener = listener_open()) < 0) result = fail(&run->failure, run->listener, -1, "listen", "shim.sock");
    if (result == 0) return 0;
    SYS(NR_PIDFD_SEND_SIGNAL, run->init_pidfd, SIGKILL, NULL, 0);
    SYS(SYS_wait4, run->init_pid, NULL, 0, NULL);
    return result;
}
