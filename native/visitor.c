#include "visitor.h"

#include "clone_vfork.h"
#include "owned_fd.h"
#include "raw_syscall.h"
#include "visitor_child.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438 /* Linux 5.6, as openat2 */
#endif
#define CLEAR_SIGHAND 0x100000000ull /* CLONE_CLEAR_SIGHAND, Linux 5.5 */
#define WAIT_PIDFD ((idtype_t)3)     /* P_PIDFD, which glibc 2.28 does not know; Linux 5.4 */
#define GUARD_BYTES 65536u           /* the largest page of aarch64 */
#define STACK_BYTES 65536u
#define UNENDING_MAX 4

/*
 * Those that not even SIGKILL ends yet: a FUSE server that has taken a request and does not answer it holds whoever asked. They stand on their
 * stacks still.
 */
static struct {
    char *arena;
    size_t arena_bytes;
    int32_t pidfd;
} unending[UNENDING_MAX];
static pthread_mutex_t unending_lock = PTHREAD_MUTEX_INITIALIZER;

int64_t nsf_visitor_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What VISIT has been told to do, done by the child: its result, or -ETIMEDOUT. */
static int ask(struct nsf_visitor *visitor, int step) {
    struct nsf_visit *visit = visitor->visit;
    if (visitor->lost || visitor->pid == 0)
        return -ETIMEDOUT;
    visit->step = step;
    uint32_t turn = visit->asked + 1;
    __atomic_store_n(&visit->asked, turn, __ATOMIC_RELEASE);
    nsf_raw6(SYS_futex, (long)&visit->asked, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
    int64_t end = nsf_visitor_now_ms() + NSF_VISIT_MS;
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

/* 1: it has ended within MS milliseconds and is reaped. */
static int reap(int32_t pidfd, int ms) {
    siginfo_t info;
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    return poll(&ended, 1, ms) == 1 && waitid(WAIT_PIDFD, (id_t)pidfd, &info, WEXITED | __WALL) == 0;
}

/* Reaps of them what has ended. 1: there is room for one more. */
static int look_at_unending(void) {
    int room = 0;
    pthread_mutex_lock(&unending_lock);
    for (int at = 0; at < UNENDING_MAX; at++) {
        if (unending[at].arena && reap(unending[at].pidfd, 0)) {
            close(unending[at].pidfd);
            munmap(unending[at].arena, unending[at].arena_bytes);
            unending[at].arena = NULL;
        }
        room |= unending[at].arena == NULL;
    }
    pthread_mutex_unlock(&unending_lock);
    return room;
}

/* Two searches at once may come for the last place: then its arena is lost, 130 KiB. */
static void keep_unending(const struct nsf_visitor *visitor) {
    pthread_mutex_lock(&unending_lock);
    int at = 0;
    while (at < UNENDING_MAX && unending[at].arena)
        at++;
    if (at < UNENDING_MAX) {
        unending[at].arena = visitor->arena;
        unending[at].arena_bytes = visitor->arena_bytes;
        unending[at].pidfd = visitor->pidfd;
    } else {
        close(visitor->pidfd);
    }
    pthread_mutex_unlock(&unending_lock);
}

static int arena_open(struct nsf_visitor *visitor) {
    visitor->arena_bytes = GUARD_BYTES + STACK_BYTES + sizeof(struct nsf_visit);
    visitor->arena = mmap(NULL, visitor->arena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (visitor->arena == MAP_FAILED) {
        visitor->arena = NULL;
        return -errno;
    }
    visitor->visit = (struct nsf_visit *)(void *)(visitor->arena + GUARD_BYTES + STACK_BYTES);
    return mprotect(visitor->arena, GUARD_BYTES, PROT_NONE) == 0 ? 0 : -errno;
}

/*
 * No signal at its end (exit_signal 0), so that Node does not hear of a child that it has not made. Signals stay blocked in the child: a handler
 * of the caller must not run there.
 */
static long clone_child(struct nsf_visitor *visitor) {
    const uint64_t all = ~(uint64_t)0;
    uint64_t before = 0;
    struct nsf_clone_args args = {
        .flags = CLONE_VM | CLONE_PIDFD | CLEAR_SIGHAND,
        .pidfd = (uint64_t)(uintptr_t)&visitor->pidfd,
        .stack = (uint64_t)(uintptr_t)(visitor->arena + GUARD_BYTES),
        .stack_size = STACK_BYTES,
    };
    nsf_raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof all, 0);
    long pid = nsf_clone3(&args, sizeof args, nsf_visitor_child, visitor->visit);
    nsf_raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof before, 0);
    return pid;
}

int nsf_visitor_start(struct nsf_visitor *visitor, int mount_ns) {
    memset(visitor, 0, sizeof *visitor);
    visitor->pidfd = -1;
    if (!look_at_unending())
        return -EBUSY;
    int result = arena_open(visitor);
    if (result < 0)
        return result;
    visitor->visit->parent = (int32_t)getpid();
    visitor->visit->mount_ns = mount_ns;
    long pid = clone_child(visitor);
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

void nsf_visitor_end(struct nsf_visitor *visitor) {
    int gone = visitor->pid == 0;
    if (!gone) {
        nsf_raw(SYS_pidfd_send_signal, visitor->pidfd, SIGKILL, 0, 0, 0);
        gone = reap(visitor->pidfd, NSF_VISIT_MS);
    }
    if (gone) {
        if (visitor->pidfd >= 0)
            close(visitor->pidfd);
        if (visitor->arena)
            munmap(visitor->arena, visitor->arena_bytes);
    } else {
        keep_unending(visitor);
    }
    memset(visitor, 0, sizeof *visitor);
    visitor->pidfd = -1;
}
