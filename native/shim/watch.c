/* `shim watch`: a process of its own, because a read of the kernel's ring buffers that waits must not take one of Node's threads. It
 * ends when the agent does: nobody reads its pipe then. It sleeps while nothing happens. */
#include "watch.h"

#include "signals.h"
#include "sys.h"

#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define SETTLE_NS 5000000     /* after an event, for others that belong to it */
#define SETTLE_TURNS 5        /* under a stream of events nothing is told later than this many times that */
#define PROBE_TURNS 200       /* one second for an event of our own */
#define REMOVE_TRIES 100

static struct watch_source source; /* static: on the stack it would be touched whole */
static struct watch_set set;

static void pause_ns(long ns) {
    struct timespec pause = {0, ns};
    SYS(SYS_nanosleep, &pause, NULL);
}

static void tell(uint32_t pid, uint32_t kinds) {
    struct watch_record record = {pid, kinds};
    SYS(SYS_write, WATCH_OUTPUT_FD, &record, sizeof record);
}

/* 0 when an event of this very process was heard, with the pid that it knows itself by. In another pid namespace than the host's
 * it never is: the kernel tells the host's pids. */
static int hear_myself(void) {
    uint32_t me = (uint32_t)SYS(SYS_getpid);
    source.probe();
    for (int turn = 0; turn < PROBE_TURNS; turn++) {
        int result = source.read(&source, &set);
        if (result < 0) return result;
        for (uint32_t i = 0; i < set.count; i++)
            if (set.entry[i].pid == me) return 0;
        if (result > 0) memset(&set, 0, sizeof set);
        pause_ns(SETTLE_NS);
        source.probe();
    }
    return -ENODATA;
}

/* Waits for the first event, then until it is quiet. 0, or -errno: it is over. */
static int gather(int blocked) {
    struct pollfd *output = &source.polled[source.count];
    *output = (struct pollfd){.fd = WATCH_OUTPUT_FD, .events = blocked ? POLLOUT : 0};
    int result = signals_poll(source.polled, source.count + 1);
    if (signals_terminated) return -EINTR;
    if (result < 0) return result == -EINTR ? 0 : result;
    if (output->revents & (POLLERR | POLLHUP | POLLNVAL)) return -EPIPE;
    for (int turn = 0; turn < SETTLE_TURNS; turn++) {
        result = source.read(&source, &set);
        if (result <= 0) return result;
        pause_ns(SETTLE_NS);
    }
    return 0;
}

static int watch(void) {
    int result = 0;
    for (;;) {
        int blocked = result == -EAGAIN;
        if ((result = gather(blocked)) < 0) return result;
        result = watch_set_write(&set, WATCH_OUTPUT_FD);
        if (result < 0 && result != -EAGAIN) return result;
    }
}

/* The instance is busy as long as one of its files is open. */
static void remove_instance(const char *instance) {
    for (uint32_t i = 0; i < source.count; i++) sys_close(source.polled[i].fd);
    for (int tries = 0; tries < REMOVE_TRIES; tries++) {
        if (SYS(SYS_unlinkat, WATCH_INSTANCES_FD, instance, 0x200 /* AT_REMOVEDIR */) != -EBUSY) return;
        pause_ns(SETTLE_NS);
    }
}

int watch_main(const char *mode, const char *instance) {
    int traced = strcmp(mode, "tracefs") == 0;
    SYS(SYS_prctl, PR_SET_NAME, "nsfleet-watch", 0, 0, 0);
    SYS(SYS_fcntl, WATCH_OUTPUT_FD, F_SETFL, O_WRONLY | O_NONBLOCK);
    int result = traced ? watch_tracefs_open(&source, instance) : watch_connector_open(&source);
    if (result == 0) result = hear_myself();
    if (result == 0) {
        tell(0, WATCH_READY);
        result = watch();
    } else {
        tell((uint32_t)-result, WATCH_FAILED);
    }
    if (traced) remove_instance(instance);
    return result == -EPIPE || result == -EINTR ? 0 : 1;
}
