#include "proc_write.h"

#include "sys.h"
#include "text.h"

#include <string.h>

int proc_write(int pid, const char *name, const char *content) {
    char path[64];
    struct text text = TEXT(path);
    text_add(&text, "/proc/");
    if (pid == 0) text_add(&text, "self");
    else text_number(&text, pid);
    text_add(&text, "/");
    text_add(&text, name);
    OWNED_FD fd = SYS(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0) return fd;
    int n = SYS(SYS_write, fd, content, strlen(content));
    return n < 0 ? n : 0;
}
