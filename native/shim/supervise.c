/* The outer half's one loop: the inner half, the streams, the agent and whoever connects. */
#include "cgroup.h"
#include "channel.h"
#include "exec.h"
#include "load.h"
#include "remains.h"
#include "run.h"
#include "signals.h"
#include "sys.h"
#include "text.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { P_CHANNEL, P_REPORT, P_INIT, P_CALLS, P_LISTENER, P_LOG, P_LIFE = P_LOG + LOGS, P_CONNECTION = P_LIFE + LIFE_TIMERS, P_COUNT = P_CONNECTION + CONNECTIONS_MAX + 1 };

#define AGENT(run) (&(run)->connection[CONNECTIONS_MAX])
/* What a stream may still hold after its last writer died: 1 MiB, pipe-max-size, in turns of 32 KiB; some more for good measure. */
#define DRAIN_TURNS_MAX 64

static void kill_sandbox(struct run *run) {
    if (run->state == STATE_STARTING) run->killed = 1;
    /* In a pid namespace that is not the sandbox's own the kernel would leave the rest alive: init ends it. */
    SYS(NR_PIDFD_SEND_SIGNAL, run->init_pidfd, run->command_pidfd >= 0 && remains_possible(run->plan) ? SIGTERM : SIGKILL, NULL, 0);
}

static void set_failed(struct run *run, const struct failure *failure) {
    if (run->state != STATE_STARTING) return;
    run->failure = *failure;
    run->state = STATE_FAILED;
    SYS(NR_PIDFD_SEND_SIGNAL, run->init_pidfd, SIGKILL, NULL, 0);
}

static void note(struct run *run, const struct failure *words) {
    char line[320];
    struct text text = TEXT(line);
    text_add(&text, "note ");
    text_add_safe(&text, words->step);
    text_add(&text, " ");
    text_add_safe(&text, words->detail);
    text_add(&text, "\n");
    connection_send(AGENT(run), line);
}

static void hear_inner(struct run *run) {
    for (;;) {
        struct message message;
        int fds[PLAN_SLOTS_MAX], count, pid;
        int result = channel_receive(run->channel, &message, fds, &count, &pid, MSG_DONTWAIT);
        if (result == -EAGAIN || result == -EINTR) return;
        /* It ended with something of ours unread. Told once, before what it had said. */
        if (result == -ECONNRESET) continue;
        if (result <= 0) {
            close_now(&run->channel);
            return;
        }
        if (message.type == MESSAGE_COMMAND && count == 1 && run->command_pidfd < 0) {
            run->command_pid = pid;
            run->command_pidfd = fds[0];
            continue;
        }
        if (message.type == MESSAGE_CALLS && count == 1) {
            calls_begin(&run->calls, fds[0], STATE_FD);
            continue;
        }
        for (int i = 0; i < count; i++) sys_close(fds[i]);
        message.failure.step[sizeof message.failure.step - 1] = message.failure.detail[sizeof message.failure.detail - 1] = 0;
        if (message.type == MESSAGE_FAILED) set_failed(run, &message.failure);
        if (message.type == MESSAGE_NOTE && run->state == STATE_STARTING) note(run, &message.failure);
        if (message.type == MESSAGE_EXITED && message.code >= -1 && message.code <= 255 && message.signal >= 0 && message.signal <= 64) {
            run->exited = 1;
            run->code = message.code;
            run->signal = message.signal;
        }
    }
}

static void hear_report(struct run *run) {
    struct failure failure;
    int result = exec_report(run->report, &failure);
    if (result == 0) return;
    close_now(&run->report);
    if (result < 0) set_failed(run, &failure);
    /* Closed without a command: the inner half died; its pidfd tells. */
    if (result == 1 && run->state == STATE_STARTING && run->command_pidfd >= 0) {
        run->state = STATE_RUNNING;
        connection_send_running(AGENT(run), run->init_pid, run->command_pid);
        /* Without its limits it would run for ever. */
        if (life_start(&run->life, run->plan) < 0) kill_sandbox(run);
    }
}

static void serve(void *context, struct connection *from, struct request request) {
    struct run *run = context;
    switch (request.type) {
        case REQUEST_KILL: kill_sandbox(run); break;
        case REQUEST_ACTIVE: life_active(&run->life); break;
        case REQUEST_SIGNAL:
            if (run->command_pidfd < 0) connection_answer(from, -ESRCH, "signal");
            else connection_answer(from, SYS(NR_PIDFD_SEND_SIGNAL, run->command_pidfd, request.signal, NULL, 0), "signal");
            break;
        case REQUEST_UNKNOWN: connection_answer(from, -EINVAL, "request"); break;
    }
}

static void admit(struct run *run) {
    struct {
        int32_t pid;
        uint32_t uid, gid;
    } peer;
    socklen_t size = sizeof peer;
    char line[96];
    struct text text = TEXT(line);
    OWNED_FD fd = SYS(SYS_accept4, run->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 || SYS(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != sys_geteuid()) return;
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *free = &run->connection[i];
        if (free->fd >= 0) continue;
        free->fd = fd;
        free->length = 0;
        fd = -1;
        text_add(&text, "nsfleet-shim 1 ");
        text_number(&text, SYS(SYS_getpid));
        text_add(&text, " ");
        text_number(&text, run->init_pid);
        text_add(&text, " ");
        text_number(&text, run->command_pid);
        text_add(&text, "\n");
        connection_send(free, line);
        return;
    }
}

static void end_of_life(struct run *run, int which) {
    int signal = life_expired(&run->life, which);
    if (signal == SIGKILL) kill_sandbox(run);
    else if (signal > 0) SYS(NR_PIDFD_SEND_SIGNAL, run->command_pidfd, signal, NULL, 0);
}

static void fill(struct run *run, struct pollfd polled[P_COUNT]) {
    for (int i = 0; i < P_COUNT; i++) polled[i] = (struct pollfd){-1, POLLIN, 0};
    polled[P_CHANNEL].fd = run->channel;
    polled[P_REPORT].fd = run->report;
    polled[P_INIT].fd = run->init_pidfd;
    polled[P_CALLS].fd = run->calls.listener;
    if (run->state == STATE_RUNNING) polled[P_LISTENER].fd = run->listener;
    for (int i = 0; i < LOGS; i++) polled[P_LOG + i].fd = run->log[i].pipe;
    for (int i = 0; i < LIFE_TIMERS; i++) polled[P_LIFE + i].fd = run->life.timer[i];
    for (int i = 0; i <= CONNECTIONS_MAX; i++) polled[P_CONNECTION + i].fd = run->connection[i].fd;
}

/* The sandbox is gone: keep what it said last, write down how it ended, tell everybody. */
static int finish(struct run *run) {
    int status = 0;
    SYS(SYS_wait4, run->init_pid, &status, 0, NULL);
    for (int i = 0; i < LOGS; i++)
        for (int turn = 0; turn < DRAIN_TURNS_MAX && run->log[i].pipe >= 0 && log_copy(&run->log[i]) > 0; turn++) continue;
    if (run->state == STATE_STARTING) {
        int died_of = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        fail(&run->failure, run->killed ? ECANCELED : EPROTO, -1, "start", run->killed ? "killed" : died_of != 0 ? "init died of a signal" : "init ended");
        run->state = STATE_FAILED;
    }
    if (run->state == STATE_FAILED) return 1;
    if (!run->exited) {
        run->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        run->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    }
    run->oom_kills = oom_kills_of(run->cgroup);
    exit_file_write(STATE_FD, run);
    for (int i = 0; i <= CONNECTIONS_MAX; i++) connection_send_exit(&run->connection[i], run->code, run->signal, run->oom_kills, life_name(&run->life));
    return 0;
}

int run_supervise(struct run *run) {
    for (;;) {
        struct pollfd polled[P_COUNT];
        fill(run, polled);
        int ready = signals_poll(polled, P_COUNT);
        if (ready < 0 && ready != -EINTR) kill_sandbox(run);
        if (signals_terminated) {
            signals_terminated = 0;
            kill_sandbox(run);
            continue;
        }
        if (polled[P_CHANNEL].revents != 0) hear_inner(run);
        if (polled[P_REPORT].revents != 0) {
            if (run->channel >= 0) hear_inner(run); /* the command's pidfd is sent before its report closes */
            hear_report(run);
        }
        for (int i = 0; i < LOGS; i++)
            if (polled[P_LOG + i].revents != 0) {
                log_copy(&run->log[i]);
                life_active(&run->life);
            }
        for (int i = 0; i < LIFE_TIMERS; i++)
            if (polled[P_LIFE + i].revents != 0) end_of_life(run, i);
        if (polled[P_CALLS].revents != 0) calls_hear(&run->calls);
        if (polled[P_LISTENER].revents != 0) admit(run);
        for (int i = 0; i <= CONNECTIONS_MAX; i++) {
            struct connection *connection = &run->connection[i];
            if (polled[P_CONNECTION + i].revents != 0 && connection->fd >= 0 && connection_read(connection, serve, run) < 0)
                close_now(&connection->fd);
        }
        if (polled[P_INIT].revents != 0) {
            if (run->channel >= 0) hear_inner(run);
            if (run->report >= 0) hear_report(run);
            return finish(run);
        }
    }
}
