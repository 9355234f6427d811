/* A whole file, read as the kernel gives it: lines that are cut, longer than the buffer, or none. */
#include "mountinfo.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* May stop it, and writes behind each text, as it may. */
static int take(void *arg, const struct nsf_mountinfo *line) {
    unsigned *lines = arg;
    line->point[line->point_bytes] = 0;
    line->type[line->type_bytes] = 0;
    return ++*lines == 1000 ? -7 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static int file = -1;
    char path[32];
    unsigned lines = 0;
    unsigned newlines = 0;
    if (file < 0)
        file = memfd_create("mountinfo", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, 0) != 0 || pwrite(file, data, bytes, 0) != (ssize_t)bytes)
        exit(2);
    for (size_t i = 0; i < bytes; i++)
        newlines += data[i] == '\n';
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int result = nsf_read_mountinfo(AT_FDCWD, path, take, &lines);
    if ((result != 0 && result != -7) || lines > newlines + 1 || (result == -7) != (lines == 1000))
        abort();
    return 0;
}
