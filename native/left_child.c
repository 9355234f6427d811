#include "left_child.h"

#include <poll.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_PIDFD ((idtype_t)3) /* P_PIDFD, which glibc 2.28 does not know; Linux 5.4 */

enum { FREE, TAKEN, LEFT };

int nsf_left_child_ended(int32_t pidfd, int ms) {
    siginfo_t info;
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    /* __WALL: a child without an exit signal is a "clone" child. */
    return poll(&ended, 1, ms) == 1 && waitid(WAIT_PIDFD, (id_t)pidfd, &info, WEXITED | __WALL) == 0;
}

/* Calls of several threads share the memory: whoever changes a state has what is behind it. */
static int change(struct nsf_left_child *child, int32_t from, int32_t to) {
    return __atomic_compare_exchange_n(&child->state, &from, to, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void set(struct nsf_left_child *child, int32_t state) {
    __atomic_store_n(&child->state, state, __ATOMIC_RELEASE);
}

int nsf_left_child_count(struct nsf_left_child *children) {
    int count = 0;
    for (int at = 0; at < NSF_LEFT_CHILDREN; at++) {
        struct nsf_left_child *child = &children[at];
        if (!change(child, LEFT, TAKEN))
            continue;
        int ended = nsf_left_child_ended(child->pidfd, 0);
        if (ended) {
            struct nsf_child_stack stack = {.base = (char *)(uintptr_t)child->stack, .bytes = child->stack_bytes};
            close(child->pidfd);
            nsf_child_stack_close(&stack);
        }
        set(child, ended ? FREE : LEFT);
        count += !ended;
    }
    return count;
}

struct nsf_left_child *nsf_left_child_room(struct nsf_left_child *children) {
    if (nsf_left_child_count(children) >= NSF_LEFT_CHILDREN_MAX)
        return NULL;
    for (int at = 0; at < NSF_LEFT_CHILDREN; at++)
        if (change(&children[at], FREE, TAKEN))
            return &children[at];
    return NULL;
}

void nsf_left_child_free(struct nsf_left_child *room) {
    set(room, FREE);
}

void nsf_left_child_leave(struct nsf_left_child *room, const struct nsf_child_stack *stack, int32_t pidfd) {
    room->stack = (uint64_t)(uintptr_t)stack->base;
    room->stack_bytes = stack->bytes;
    room->pidfd = pidfd;
    set(room, LEFT);
}
