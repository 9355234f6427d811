/*
 * A hostile FUSE server: in a mount namespace of its own it has a namespace bind-mounted at argv[2]/held, says "ready", and from then on answers no
 * LOOKUP ("hang") or answers each after 1.5 s ("late"). With "cover" its root is a file that stands over that mount, and it answers nothing but the
 * beginning: not even what fstat(2) or fstatfs(2) ask. Ends with its stdin.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int fuse;
static int ready;

static void answer(uint64_t unique, int error, const void *data, size_t bytes) {
    char out[1024];
    struct fuse_out_header head = {.len = (uint32_t)(sizeof head + bytes), .error = error, .unique = unique};
    memcpy(out, &head, sizeof head);
    memcpy(out + sizeof head, data, bytes);
    (void)!write(fuse, out, sizeof head + bytes);
}

static void serve(const struct fuse_in_header *in, int late) {
    struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 65536, .time_gran = 1};
    struct fuse_entry_out entry = {.nodeid = 2, .attr = {.ino = 2, .mode = S_IFREG | 0644, .nlink = 1}};
    struct fuse_attr_out attr = {.attr = {.ino = in->nodeid, .mode = in->nodeid == 1 ? S_IFDIR | 0755 : S_IFREG | 0644, .nlink = 1}};
    switch (in->opcode) {
    case FUSE_INIT: answer(in->unique, 0, &init, sizeof init); break;
    case FUSE_GETATTR: answer(in->unique, 0, &attr, sizeof attr); break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET: break;
    case FUSE_LOOKUP:
        if (ready && !late) break;
        if (ready) usleep(1500000);
        answer(in->unique, 0, &entry, sizeof entry);
        break;
    default: answer(in->unique, -ENOSYS, NULL, 0);
    }
}

static int mount_below(const char *directory) {
    char path[4096];
    snprintf(path, sizeof path, "%s/held", directory);
    if (unshare(CLONE_NEWUTS) != 0) return 1;
    /* By /proc/self of this process: the mount stays when it ends. */
    return mount("/proc/self/ns/uts", path, "none", MS_BIND, NULL) != 0;
}

/* The bind mount is on what the directory is by itself. */
static int mount_cover(const char *directory, const char *options) {
    char path[4096];
    snprintf(path, sizeof path, "%s/held", directory);
    int file = open(path, O_CREAT | O_CLOEXEC, 0644);
    if (file < 0 || close(file) != 0 || mount_below(directory) != 0) return 1;
    return mount("slow", path, "fuse", 0, options) != 0;
}

/* Till the kernel may go on without us. */
static int begin(char *request, size_t bytes) {
    if (read(fuse, request, bytes) <= 0) return 1;
    serve((const struct fuse_in_header *)(const void *)request, 0);
    return 0;
}

static void wait_for_end(void) {
    char byte;
    while (read(0, &byte, 1) > 0);
}

int main(int argc, char **argv) {
    char options[128];
    char request[1 << 17];
    if (argc != 3 || unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0) return 1;
    fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    int cover = strcmp(argv[1], "cover") == 0;
    snprintf(options, sizeof options, "fd=%d,rootmode=%s,user_id=0,group_id=0", fuse, cover ? "100000" : "40000");
    if (fuse >= 0 && cover) {
        if (mount_cover(argv[2], options) != 0 || begin(request, sizeof request) != 0) return 2;
        (void)!write(1, "ready\n", 6);
        wait_for_end();
        return 0;
    }
    if (fuse < 0 || mount("slow", argv[2], "fuse", 0, options) != 0) return 2;
    pid_t child = fork();
    if (child == 0) {
        close(fuse);
        _exit(mount_below(argv[2]));
    }
    for (;;) {
        struct pollfd polled[2] = {{.fd = fuse, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
        int status;
        (void)poll(polled, 2, 20);
        if (polled[1].revents & POLLHUP) return 0;
        if (!ready && waitpid(child, &status, WNOHANG) == child) {
            if (status != 0) return 3;
            ready = 1;
            (void)!write(1, "ready\n", 6);
        }
        if (!(polled[0].revents & POLLIN)) continue;
        if (read(fuse, request, sizeof request) > 0) serve((const struct fuse_in_header *)(const void *)request, strcmp(argv[1], "late") == 0);
    }
}
