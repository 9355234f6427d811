#include "visitor.h"

#include "owned_fd.h"
#include "raw_syscall.h"
#include "visitor_child.h"

#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438 /* Linux 5.6, as openat2 */
#endif

int64_t nsf_visitor_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What VISIT has been told to do, done by the child: its result, or -ETIMEDOUT after MS milliseconds. */
static int ask_for(struct nsf_visitor *visitor, int step, int ms) {
    struct nsf_visit *visit = visitor->visit;
    if (visitor->lost || visitor->pid == 0)
        return -ETIMEDOUT;
    visit->step = step;
    uint32_t turn = visit->asked + 1;
    __atomic_store_n(&visit->asked, turn, __ATOMIC_RELEASE);
    nsf_raw6(SYS_futex, (long)&visit->asked, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
    int64_t end = nsf_visitor_now_ms() + ms;
    for (;;) {
        uint32_t answered = __atomic_load_n(&visit->answered, __ATOMIC_ACQUIRE);
        if (answered == turn)
            return visit->result;
        int64_t left = end - nsf_visitor_now_ms();
        if (left <= 0)
            break;
        struct timespec timeout = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        nsf_raw6(SYS_futex, (long)&visit->answered, FUTEX_WAIT_PRIVATE, (long)answered, (long)&timeout, 0, 0);
    }
    visitor->lost = 1;
    return -ETIMEDOUT;
}

static int ask(struct nsf_visitor *visitor, int step) {
    return ask_for(visitor, step, NSF_VISIT_MS);
}

int nsf_visitor_start(struct nsf_visitor *visitor, struct nsf_left_child *left, int mount_ns, int proc) {
    memset(visitor, 0, sizeof *visitor);
    visitor->pidfd = -1;
    visitor->room = nsf_left_child_room(left);
    if (!visitor->room)
        return -EBUSY;
    int result = nsf_child_stack_open(&visitor->stack, sizeof(struct nsf_visit));
    if (result < 0)
        return result;
    visitor->visit = visitor->stack.shared;
    visitor->visit->parent = (int32_t)getpid();
    visitor->visit->mount_ns = mount_ns;
    visitor->visit->proc = proc;
    /* Without a signal at its end, so that Node does not hear of a child that it has not made. */
    long pid = nsf_child_stack_clone(&visitor->stack, 0, 0, &visitor->pidfd, -1, nsf_visitor_child, visitor->visit);
    if (pid < 0)
        return (int)pid;
    visitor->pid = (int32_t)pid;
    return ask(visitor, NSF_VISIT_ENTER);
}

static int ask_path(struct nsf_visitor *visitor, int step, const char *path) {
    size_t bytes = strlen(path);
    if (bytes >= sizeof visitor->visit->path)
        return -ENAMETOOLONG;
    if (visitor->lost)
        return -ETIMEDOUT;
    memcpy(visitor->visit->path, path, bytes + 1);
    return ask(visitor, step);
}

int nsf_visitor_open(struct nsf_visitor *visitor, const char *path) {
    int there = ask_path(visitor, NSF_VISIT_OPEN, path);
    if (there < 0)
        return there;
    int fd = (int)syscall(SYS_pidfd_getfd, visitor->pidfd, there, 0u);
    return fd < 0 ? -errno : fd;
}

int nsf_visitor_copy(struct nsf_visitor *visitor) {
    return ask(visitor, NSF_VISIT_COPY);
}

int nsf_visitor_unmount(struct nsf_visitor *visitor, const char *path) {
    return ask_path(visitor, NSF_VISIT_UNMOUNT, path);
}

int nsf_visitor_find(struct nsf_visitor *visitor, const char *path, const struct nsf_visit_namespace *wanted) {
    if (path[0] != '/')
        return -EINVAL;
    if (!visitor->lost)
        visitor->visit->wanted = *wanted;
    int result = ask_path(visitor, NSF_VISIT_FIND, path);
    return result < 0 ? result : 0;
}

int nsf_visitor_detach(struct nsf_visitor *visitor) {
    return ask_for(visitor, NSF_VISIT_DETACH, NSF_VISIT_UNMOUNT_MS);
}

const char *nsf_visitor_doing(const struct nsf_visitor *visitor) {
    if (!visitor->room)
        return "left_children";
    if (visitor->pid == 0)
        return "clone3";
    const char *doing = __atomic_load_n(&visitor->visit->doing, __ATOMIC_RELAXED); /* the child may be at it still */
    return doing ? doing : "visit";
}

void nsf_visitor_end(struct nsf_visitor *visitor) {
    int gone = visitor->pid == 0;
    if (!gone) {
        nsf_raw(SYS_pidfd_send_signal, visitor->pidfd, SIGKILL, 0, 0, 0);
        gone = nsf_left_child_ended(visitor->pidfd, NSF_VISIT_MS);
    }
    if (!gone) {
        nsf_left_child_leave(visitor->room, &visitor->stack, visitor->pidfd);
    } else if (visitor->room) {
        if (visitor->pidfd >= 0)
            close(visitor->pidfd);
        nsf_child_stack_close(&visitor->stack);
        nsf_left_child_free(visitor->room);
    }
    memset(visitor, 0, sizeof *visitor);
    visitor->pidfd = -1;
}
