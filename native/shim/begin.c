/* The outer half's second half, by the plan: ids (only here is the privilege to map them), logs, the host's operations, the hand-over. */
#include "channel.h"
#include "claim.h"
#include "interpret.h"
#include "load.h"
#include "prepare.h"
#include "proc_write.h"
#include "run.h"
#include "sys.h"
#include "text.h"

#include <string.h>
#include <sys/prctl.h>

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
    return proc_write(pid, name, content);
}

static int map_ids(const struct plan *plan, int pid, struct failure *failure) {
    int result;
    if ((plan->namespaces & SYS_CLONE_NEWUSER) == 0) return 0;
    if (plan->setgroups_deny && (result = proc_write(pid, "setgroups", "deny")) < 0) return fail(failure, result, -1, "setgroups", "deny");
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
    work.target_pid = run->init_pid;
    work.note = note;
    noting = run;
    memset(&message, 0, sizeof message);
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

/* The streams' pipes, and what was made beforehand, belong to who is in the sandbox: else /dev/stdout cannot be opened again inside. */
static int give_away(struct run *run) {
    const struct plan *plan = run->plan;
    uint32_t uid = plan_outside_id(plan->uid_map, plan->uid_maps, plan->uid == PLAN_NO_ID ? 0 : plan->uid);
    uint32_t gid = plan_outside_id(plan->gid_map, plan->gid_maps, plan->gid == PLAN_NO_ID ? 0 : plan->gid);
    int result = 0;
    if (sys_geteuid() == 0)
        for (int i = 0; i < LOGS; i++) SYS(SYS_fchown, run->log[i].pipe, uid, gid);
    if (run->first != NULL && prepare_match(run->plan, run->first)) result = prepare_give_away(run);
    prepare_close(run);
    return result;
}

int run_open_logs(struct run *run) {
    int result;
    if ((result = log_open(&run->log[0], STATE_FD, "stdout.log", "stdout.log.1")) < 0)
        return fail(&run->failure, result, -1, "log", "stdout.log");
    if ((result = log_open(&run->log[1], STATE_FD, "stderr.log", "stderr.log.1")) < 0)
        return fail(&run->failure, result, -1, "log", "stderr.log");
    return 0;
}

int run_listen(struct run *run) {
    if ((run->listener = listener_open()) < 0) return fail(&run->failure, run->listener, -1, "listen", "shim.sock");
    return 0;
}

static int send_inner(struct run *run, enum message_type type) {
    struct message message;
    memset(&message, 0, sizeof message);
    message.type = (int)type;
    int result = channel_send(run->channel, &message, NULL, 0);
    /* As in hand_over: why it is gone, it has said. */
    if (result == -EPIPE || result == -ECONNRESET) return 0;
    return result < 0 ? fail(&run->failure, result, -1, "hand_over", "-") : 0;
}

int run_begin(struct run *run) {
    int result;
    if ((result = claim_ids(run->plan, &run->failure)) < 0) return result;
    if ((result = map_ids(run->plan, run->init_pid, &run->failure)) < 0) return result;
    /* From here on nobody needs to look into this process; before, a plain user's id maps could not have been written. */
    if ((result = SYS(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0)) < 0) return fail(&run->failure, result, -1, "dumpable", "-");
    if ((result = give_away(run)) < 0) return result;
    if ((result = send_inner(run, MESSAGE_GO)) < 0) return result;
    if (run->first == NULL && (result = run_open_logs(run)) < 0) return result;
    for (int i = 0; i < LOGS; i++) run->log[i].size_max = run->plan->log_bytes_max;
    if ((result = hand_over(run)) < 0) return result;
    if ((result = run->first == NULL ? run_listen(run) : ready_await_start(run)) < 0) return result;
    return send_inner(run, MESSAGE_START);
}
