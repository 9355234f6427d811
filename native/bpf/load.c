/*
 * nsfleet-bpf-load: loads the task iterator into the kernel, sends its link over the socket that is descriptor 0, and ends.
 * What it says there: "ok <records version> <task record bytes> <namespace record bytes>\n", with the link as SCM_RIGHTS; or
 * "failed <errno> <step> <last words of libbpf>\n".
 *
 * A program of its own, and not a part of the library: what libbpf reads to find the kernel's fields (megabytes of BTF) goes away
 * with it, and being static it asks nothing of the host's libraries. The program in the kernel lives as long as the link is open.
 */
#include "../task_records.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define CHANNEL 0

/* tasks.bpf.c, as clang compiled it. */
__asm__(".section .rodata\n"
        ".balign 8\n"
        "nsf_object: .incbin \"" NSF_TASKS_OBJECT "\"\n"
        "nsf_object_end:\n"
        ".previous\n");
extern const char nsf_object[] __attribute__((visibility("hidden")));
extern const char nsf_object_end[] __attribute__((visibility("hidden")));

static char last_words[512];

static int keep_last_words(enum libbpf_print_level level, const char *format, va_list arguments) {
    if (level == LIBBPF_WARN)
        vsnprintf(last_words, sizeof last_words, format, arguments);
    return 0;
}

/* FD may be -1. */
static int say(const char *text, int fd) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    }
    return sendmsg(CHANNEL, &message, MSG_NOSIGNAL) < 0 ? 1 : 0;
}

static int fail(const char *step) {
    char text[640];
    int errnum = errno;
    for (char *at = last_words; *at; at++)
        if (*at < ' ')
            *at = ' ';
    snprintf(text, sizeof text, "failed %d %s %s\n", errnum, step, last_words);
    say(text, -1);
    return 1;
}

int main(void) {
    char text[64];
    libbpf_set_print(keep_last_words);
    struct bpf_object *object = bpf_object__open_mem(nsf_object, (size_t)(nsf_object_end - nsf_object), NULL);
    if (!object)
        return fail("open_object");
    if (bpf_object__load(object) != 0)
        return fail("load");
    struct bpf_program *program = bpf_object__find_program_by_name(object, "nsf_tasks");
    struct bpf_link *link = program ? bpf_program__attach_iter(program, NULL) : NULL;
    if (!link)
        return fail("attach");
    snprintf(text, sizeof text, "ok %d %zu %zu\n", NSF_RECORDS_VERSION, sizeof(struct nsf_task_record),
             sizeof(struct nsf_namespace_record));
    return say(text, bpf_link__fd(link));
}
