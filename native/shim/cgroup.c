#include "cgroup.h"

#include "load.h"
#include "sys.h"

#include <string.h>
#include <sys/vfs.h>

#define CGROUP2_MAGIC 0x63677270 /* linux/magic.h, since 4.5 */

int cgroup_given(void) {
    struct statfs fs;
    if (SYS(SYS_fstatfs, CGROUP_FD, &fs) == 0 && fs.f_type == CGROUP2_MAGIC) {
        SYS(SYS_fcntl, CGROUP_FD, F_SETFD, FD_CLOEXEC);
        return CGROUP_FD;
    }
    sys_close(CGROUP_FD);
    return -1;
}

/* The number after this word at the beginning of a line; 0 if there is none. */
static int number_of(const char *line, const char *word) {
    size_t length = strlen(word);
    while (line != NULL && strncmp(line, word, length) != 0)
        if ((line = strchr(line, '\n')) != NULL) line++;
    int64_t number = 0;
    if (line == NULL) return 0;
    for (line += length; *line >= '0' && *line <= '9' && number <= INT32_MAX / 10 - 1; line++) number = number * 10 + (*line - '0');
    return (int)number;
}

int oom_kills_of(int cgroup) {
    char content[512];
    OWNED_FD fd = cgroup < 0 ? -EBADF : SYS(SYS_openat, cgroup, "memory.events", O_RDONLY | O_CLOEXEC, 0);
    int n = fd < 0 ? fd : SYS(SYS_read, fd, content, sizeof content - 1);
    if (n <= 0) return 0;
    content[n] = 0;
    return number_of(content, "oom_kill ");
}
