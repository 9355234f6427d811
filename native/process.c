#include "error.h"
#include "owned_fd.h"
#include "proc_stat.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#define WAIT_PIDFD ((idtype_t)3) /* P_PIDFD, which glibc 2.28 does not know; Linux 5.4 */

int nsf_process_start(int32_t pid, uint64_t *start_ticks, struct nsf_error *error) {
    char path[32];
    struct nsf_stat stat;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int result = pid > 0 ? nsf_read_stat(AT_FDCWD, path, &stat) : -ESRCH;
    if (result < 0)
        return nsf_fail(error, -result, "read_start", path);
    *start_ticks = stat.start_ticks;
    return 0;
}

int nsf_pidfd_open(int32_t pid, uint64_t start_ticks, int32_t *pidfd, struct nsf_error *error) {
    uint64_t seen;
    char detail[32];
    snprintf(detail, sizeof detail, "pid %d", pid);
    NSF_OWNED_FD fd = (int)syscall(SYS_pidfd_open, pid, 0u);
    if (fd < 0)
        return nsf_fail_errno(error, "pidfd_open", detail);
    /*
     * In this order: whoever answers to PID with the right start time now had PID before the line above, too, so it is
     * the one that the pidfd stands for.
     */
    int result = nsf_process_start(pid, &seen, error);
    if (result < 0)
        return result;
    if (seen != start_ticks)
        return nsf_fail(error, ESTALE, "check_start", detail);
    *pidfd = fd;
    fd = -1;
    return 0;
}

int nsf_pidfd_signal(int32_t pidfd, int32_t signal, struct nsf_error *error) {
    if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0u) != 0)
        return nsf_fail_errno(error, "pidfd_send_signal", NULL);
    return 0;
}

int nsf_wait(int32_t pidfd, struct nsf_exit *status, struct nsf_error *error) {
    siginfo_t info;
    int result;
    memset(status, 0, sizeof *status);
    status->size = sizeof *status;
    status->version = NSF_ABI;
    do {
        memset(&info, 0, sizeof info);
        result = waitid(WAIT_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
    } while (result != 0 && errno == EINTR);
    if (result != 0)
        return nsf_fail_errno(error, "waitid", NULL);
    status->running = info.si_pid == 0;
    if (status->running)
        return 0;
    int exited = info.si_code == CLD_EXITED;
    status->code = exited ? info.si_status : -1;
    status->signal = exited ? 0 : info.si_status;
    return 0;
}
