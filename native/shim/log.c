#include "log.h"

#include "sys.h"

#include <sys/stat.h>

#define LOG_TURN 32768u /* half of a pipe's default size */

int log_open(struct log *log, int state_fd, const char *name, const char *rotated) {
    struct stat st;
    log->name = name;
    log->rotated = rotated;
    log->state_fd = state_fd;
    log->size = 0;
    log->file = SYS(SYS_openat, state_fd, name, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (log->file == -EEXIST) {
        log->file = SYS(SYS_openat, state_fd, name, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0);
        if (log->file >= 0 && SYS(SYS_fstat, log->file, &st) == 0) log->size = (uint64_t)st.st_size;
    }
    return log->file < 0 ? log->file : 0;
}

static void rotate(struct log *log) {
    close_now(&log->file);
    SYS(SYS_renameat2, log->state_fd, log->name, log->state_fd, log->rotated, 0);
    /* Where this fails (no space, too many files), the next piece tries again. */
    log->file = SYS(SYS_openat, log->state_fd, log->name, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    log->size = 0;
}

static void keep(struct log *log, const char *bytes, uint64_t n) {
    while (n > 0) {
        if (log->file < 0 || log->size >= log->size_max) rotate(log);
        if (log->file < 0) return;
        uint64_t room = log->size_max - log->size;
        int written = SYS(SYS_write, log->file, bytes, (size_t)(n < room ? n : room));
        if (written <= 0) return;
        log->size += (uint64_t)written;
        bytes += written;
        n -= (uint64_t)written;
    }
}

int log_copy(struct log *log) {
    static char buffer[LOG_TURN]; /* static: a stack that is probed touches all of it, in every sandbox */
    int n = SYS(SYS_read, log->pipe, buffer, sizeof buffer);
    if (n == -EAGAIN || n == -EINTR) return 0;
    if (n <= 0) {
        close_now(&log->pipe);
        return -1;
    }
    keep(log, buffer, (uint64_t)n);
    return 1;
}
