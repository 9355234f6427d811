#include "life.h"

#include "sys.h"

#include <signal.h>
#include <time.h>

#define NEVER_ABOVE_MS (366ull * 86400 * 1000 * 100)
#define TIMER_ABSOLUTE 1 /* TFD_TIMER_ABSTIME */

/* The kernel's struct itimerspec, whatever libc has for time_t. */
struct timer_value {
    int64_t every_s, every_ns, in_s, in_ns;
};

static int arm(int *timer, int clock, uint64_t ms, int absolute) {
    /* 0 would disarm it: what is over already ends at once. */
    struct timer_value value = {0, 0, (int64_t)(ms / 1000), ms == 0 ? 1 : (int64_t)(ms % 1000) * 1000000};
    if (*timer < 0) *timer = SYS(SYS_timerfd_create, clock, O_CLOEXEC | O_NONBLOCK);
    return *timer < 0 ? *timer : SYS(SYS_timerfd_settime, *timer, absolute ? TIMER_ABSOLUTE : 0, &value, NULL);
}

void life_init(struct life *life) {
    for (int i = 0; i < LIFE_TIMERS; i++) life->timer[i] = -1;
    life->ended_by = -1;
}

int life_start(struct life *life, const struct plan *plan) {
    for (unsigned i = 0; i < plan->ops; i++) {
        const struct plan_op *op = &plan->op[i];
        if (op->op != OP_LIFETIME) continue;
        if (op->mode >= LIFE_LIMITS || op->a > NEVER_ABOVE_MS) return -EBADMSG;
        life->signal = (int)op->uid;
        life->grace_ms = op->b;
        if (op->mode == LIFE_IDLE) life->idle_ms = op->a;
        /* A time to live goes on while the machine is suspended; a deadline is a moment of the wall clock, whoever sets that. */
        int result = op->mode == LIFE_DEADLINE ? arm(&life->timer[op->mode], CLOCK_REALTIME, op->a, 1)
                                               : arm(&life->timer[op->mode], CLOCK_BOOTTIME, op->a, 0);
        if (result < 0) return result;
    }
    return 0;
}

void life_active(struct life *life) {
    if (life->timer[LIFE_IDLE] >= 0 && life->ended_by < 0) arm(&life->timer[LIFE_IDLE], CLOCK_BOOTTIME, life->idle_ms, 0);
}

int life_expired(struct life *life, int which) {
    close_now(&life->timer[which]);
    if (which == LIFE_GRACE) return SIGKILL;
    if (life->ended_by >= 0) return 0;
    life->ended_by = which;
    return arm(&life->timer[LIFE_GRACE], CLOCK_BOOTTIME, life->grace_ms, 0) < 0 ? SIGKILL : life->signal;
}

const char *life_name(const struct life *life) {
    switch (life->ended_by) {
        case LIFE_TTL: return "ttl";
        case LIFE_IDLE: return "idle";
        case LIFE_DEADLINE: return "deadline";
    }
    return NULL;
}
