#include "calls.h"

#include "sys.h"
#include "text.h"

#include <linux/ioctl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

/* linux/seccomp.h, of which the oldest supported build lacks what came with Linux 5.5 and 6.6. */
struct notification {
    uint64_t id;
    uint32_t pid, flags;
    int32_t number;
    uint32_t arch;
    uint64_t instruction_pointer, argument[6];
};
struct answer {
    uint64_t id;
    int64_t value;
    int32_t error;
    uint32_t flags;
};
#define HEAR _IOWR('!', 0, struct notification)
#define ANSWER _IOWR('!', 1, struct answer)
#define SET_FLAGS _IOW('!', 4, uint64_t)

enum { GO_ON = 1, WAKE_ON_THIS_CPU = 1 };
/* So many in one turn; signals, logs and the agent wait as long. */
enum { TURN_MAX = 256 };

int calls_begin(struct calls *calls, int listener, int state_fd) {
    if (calls->listener >= 0) {
        sys_close(listener);
        return -EBUSY;
    }
    calls->listener = listener;
    calls->file = SYS(SYS_openat, state_fd, "calls", O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    SYS(SYS_ioctl, listener, SET_FLAGS, WAKE_ON_THIS_CPU); /* Linux 6.6: twice as fast; else as it was */
    return calls->file < 0 ? calls->file : 0;
}

/* The arguments that a profile may look at, of the calls of which it does. */
static void arguments_of(const struct notification *call, struct called *called) {
    called->number = (uint32_t)call->number;
    memset(called->argument, 0, sizeof called->argument);
    switch (call->number) {
        case SYS_socket:
            for (int i = 0; i < 3; i++) called->argument[i] = (uint32_t)call->argument[i];
            called->argument[1] &= 0xf; /* without SOCK_CLOEXEC and SOCK_NONBLOCK */
            break;
        case SYS_ioctl: called->argument[1] = (uint32_t)call->argument[1]; break;
        case SYS_clone:
        case SYS_unshare:
        case SYS_personality: called->argument[0] = (uint32_t)call->argument[0]; break;
    }
}

static int is_new(struct calls *calls, const struct called *called) {
    uint8_t bit = (uint8_t)(1u << (called->number % 8)), *byte = &calls->seen[called->number / 8];
    int first = (*byte & bit) == 0;
    *byte |= bit;
    if (called->argument[0] == 0 && called->argument[1] == 0 && called->argument[2] == 0) return first;
    for (unsigned i = 0; i < calls->tolds; i++)
        if (memcmp(&calls->told[i], called, sizeof *called) == 0) return 0;
    if (calls->tolds == CALLS_TOLD_MAX) return 0;
    calls->told[calls->tolds++] = *called;
    return 1;
}

static void write_down(struct calls *calls, const struct called *called) {
    char line[64];
    struct text text = TEXT(line);
    line[0] = 0;
    text_number(&text, called->number);
    for (int i = 0; i < 3; i++) {
        text_add(&text, " ");
        text_number(&text, called->argument[i]);
    }
    text_add(&text, "\n");
    SYS(SYS_write, calls->file, line, strlen(line));
}

void calls_hear(struct calls *calls) {
    for (int turn = 0; turn < TURN_MAX; turn++) {
        struct pollfd waiting = {calls->listener, POLLIN, 0};
        struct timespec now = {0, 0};
        struct notification call;
        struct called called;
        if (SYS(SYS_ppoll, &waiting, 1, &now, NULL, 0) <= 0) return;
        if ((waiting.revents & POLLIN) == 0) { /* POLLHUP: its last process is gone */
            close_now(&calls->listener);
            close_now(&calls->file);
            return;
        }
        memset(&call, 0, sizeof call);
        if (SYS(SYS_ioctl, calls->listener, HEAR, &call) < 0) continue; /* ENOENT: a signal took it away */
        struct answer answer = {.id = call.id, .flags = GO_ON};
        SYS(SYS_ioctl, calls->listener, ANSWER, &answer);
        if (call.number < 0 || call.number >= CALLS_NUMBERS || calls->file < 0) continue;
        arguments_of(&call, &called);
        if (is_new(calls, &called)) write_down(calls, &called);
    }
}
