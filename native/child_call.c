#include "child_call.h"

#include "child_stack.h"
#include "error.h"

#include <errno.h>
#include <sched.h>
#include <sys/wait.h>

static int call(struct nsf_child_stack *stack, int (*fn)(void *), void *arg, struct nsf_error *error) {
    siginfo_t info;
    long pid = nsf_child_stack_clone(stack, CLONE_VFORK, 0, NULL, -1, fn, arg);
    if (pid < 0)
        return nsf_fail(error, (int)-pid, "clone3", NULL);
    /* __WALL: a child without an exit signal is a "clone" child. */
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | __WALL) != 0 && errno == EINTR) {
    }
    return 0;
}

int nsf_call_in_child(int (*fn)(void *), void *arg, struct nsf_error *error) {
    struct nsf_child_stack stack;
    int result = nsf_child_stack_open(&stack, 0);
    result = result < 0 ? nsf_fail(error, -result, "stack", NULL) : call(&stack, fn, arg, error);
    nsf_child_stack_close(&stack);
    return result;
}
