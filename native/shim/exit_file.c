#include "run.h"
#include "sys.h"
#include "text.h"

#include <time.h>

int exit_file_write(int state_fd, const struct run *run) {
    char content[128];
    struct text text = TEXT(content);
    struct timespec now = {0, 0};
    int result;

    SYS(SYS_clock_gettime, CLOCK_REALTIME, &now);
    text_add(&text, "nsfleet-exit 1\ncode ");
    text_number(&text, run->code);
    text_add(&text, "\nsignal ");
    text_number(&text, run->signal);
    text_add(&text, "\nended_ms ");
    text_number(&text, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    if (life_name(&run->life) != NULL) {
        text_add(&text, "\nended_by ");
        text_add(&text, life_name(&run->life));
    }
    if (run->oom_kills > 0) {
        text_add(&text, "\noom_kills ");
        text_number(&text, run->oom_kills);
    }
    text_add(&text, "\n");
    SYS(SYS_unlinkat, state_fd, "exit.tmp", 0);
    OWNED_FD file = SYS(SYS_openat, state_fd, "exit.tmp", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) return file;
    if ((result = SYS(SYS_write, file, content, text.length)) < 0) return result;
    if ((result = SYS(SYS_fsync, file)) < 0) return result;
    if ((result = SYS(SYS_renameat2, state_fd, "exit.tmp", state_fd, "exit", 0)) < 0) return result;
    /* The descriptor we were given may be O_PATH, which cannot be synced. */
    OWNED_FD dir = SYS(SYS_openat, state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    return dir < 0 ? dir : SYS(SYS_fsync, dir);
}
