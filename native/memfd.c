#include "error.h"
#include "owned_fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

/* linux/memfd.h of Linux 6.3; older kernels answer EINVAL. */
#define MEMFD_NOEXEC_SEAL 0x0008u
#define MEMFD_EXEC 0x0010u

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int create(const char *name, unsigned exec_flag, struct nsf_error *error) {
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | exec_flag);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd < 0 ? nsf_fail_errno(error, "memfd_create", name) : fd;
}

static int seal(int *owned, int32_t *out, const char *name, struct nsf_error *error) {
    if (fcntl(*owned, F_ADD_SEALS, SEALS) != 0)
        return nsf_fail_errno(error, "seal", name);
    if (lseek(*owned, 0, SEEK_SET) != 0)
        return nsf_fail_errno(error, "rewind", name);
    *out = *owned;
    *owned = -1;
    return 0;
}

int nsf_seal_program(const char *path, int32_t *fd, struct nsf_error *error) {
    struct statx about;
    NSF_OWNED_FD file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return nsf_fail_errno(error, "open_program", path);
    if (statx(file, "", AT_EMPTY_PATH, STATX_TYPE, &about) != 0)
        return nsf_fail_errno(error, "check_program", path);
    if (!S_ISREG(about.stx_mode))
        return nsf_fail(error, EINVAL, "check_program", path);
    const char *slash = strrchr(path, '/');
    NSF_OWNED_FD memory = create(slash ? slash + 1 : path, MEMFD_EXEC, error);
    if (memory < 0)
        return memory;
    for (;;) {
        ssize_t sent = sendfile(memory, file, NULL, 1u << 30);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return nsf_fail_errno(error, "copy_program", path);
        if (sent == 0)
            return seal(&memory, fd, path, error);
    }
}

int nsf_seal_bytes(const void *bytes, uint64_t size, const char *name, int32_t *fd, struct nsf_error *error) {
    const char *at = bytes;
    NSF_OWNED_FD memory = create(name, MEMFD_NOEXEC_SEAL, error);
    if (memory < 0)
        return memory;
    while (size > 0) {
        ssize_t written = write(memory, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return nsf_fail_errno(error, "write_memfd", name);
        at += written;
        size -= (uint64_t)written;
    }
    return seal(&memory, fd, name, error);
}
