#include "holders.h"

#include "ns_link.h"
#include "owned_fd.h"
#include "proc_list.h"
#include "proc_text.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* What else a process with this program and user might be: an agent, or a second one. Its own scan holds namespaces open for a moment. */
static int likely_pins(const struct nsf_search *search, struct nsf_place *place) {
    struct statx exe;
    struct statx about;
    if (place->likely_pins < 0)
        place->likely_pins = statx(place->dir, "../exe", AT_STATX_DONT_SYNC, STATX_INO, &exe) == 0 &&
                             exe.stx_ino == search->own_inode &&
                             makedev(exe.stx_dev_major, exe.stx_dev_minor) == search->own_dev &&
                             statx(place->dir, "..", 0, STATX_UID, &about) == 0 && about.stx_uid == search->own_uid;
    return place->likely_pins;
}

/* The status flags that fdinfo tells of a descriptor ("flags:\t02002"), -1 if there are none. */
static long flags_of(const struct nsf_place *place, const char *name) {
    char path[64];
    char text[256];
    if (place->tid > 0)
        snprintf(path, sizeof path, "../task/%d/fdinfo/%.12s", place->tid, name);
    else
        snprintf(path, sizeof path, "../fdinfo/%.12s", name);
    NSF_OWNED_FD info = openat(place->dir, path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = info < 0 ? -1 : read(info, text, sizeof text);
    return bytes <= 0 ? -1 : nsf_parse_fd_flags(text, (size_t)bytes);
}

/*
 * A scan's hold on a namespace is no holder, or the scans of two agents would find each other's. It is marked (NSF_PIN_FLAGS or O_PATH), or so short
 * that it is gone at a second look. Only the same user's same program may claim to be that, so that nobody else hides by the mark.
 */
static int is_pin(const struct nsf_search *search, struct nsf_place *place, int dir, const char *name, const char *text, ssize_t bytes) {
    char again[64];
    if (!likely_pins(search, place))
        return 0;
    long flags = flags_of(place, name);
    if (flags < 0 || (flags & NSF_PIN_FLAGS) == NSF_PIN_FLAGS || (flags & O_PATH) != 0)
        return 1;
    ssize_t now = readlinkat(dir, name, again, sizeof again);
    return now != bytes || memcmp(text, again, (size_t)bytes) != 0;
}

static int search_namespace(struct nsf_search *search, struct nsf_place *place, int dir, const char *name, int32_t row) {
    if (row < 0) {
        NSF_OWNED_FD fd = openat(dir, name, O_PATH | O_CLOEXEC);
        row = fd < 0 ? -errno : nsf_finding_resolve(&search->found, fd);
    }
    if (nsf_is_fatal(row))
        return row;
    if (row >= 0)
        nsf_search_add(search, place, place->tid > 0 ? NSF_THREAD_FD : NSF_FD, row, nsf_entry_number(name), NULL, 0);
    else if (row != -EINVAL) /* another file has the number by now */
        nsf_finding_hide(&search->found, NSF_HIDDEN_NAMESPACE, -row);
    return 0;
}

/* By its name first: nearly every other path is spared the question. The device has one name everywhere, below whatever a container's /dev is. */
static int is_tun(int dir, const char *name, const char *text, ssize_t bytes) {
    return bytes >= 4 && text[0] == '/' && memcmp(text + bytes - 4, "/tun", 4) == 0 && nsf_is_tun(dir, name);
}

/* Reads the link only: what it leads to is opened when the text says that it is a namespace. 1: the rest is not worth a look. */
static int search_descriptor(struct nsf_search *search, struct nsf_place *place, int dir, const char *name) {
    char text[64];
    uint64_t inode;
    int type;
    ssize_t bytes = readlinkat(dir, name, text, sizeof text);
    if (bytes < 0) {
        /* Whoever may list the numbers may still be refused what they stand for, all of it (ptrace(2), access mode checking). */
        nsf_finding_hide(&search->found, NSF_HIDDEN_FD, errno);
        return errno == EACCES || errno == EPERM;
    }
    if (nsf_parse_socket_link(text, (size_t)bytes, &inode))
        return nsf_search_socket(search, place, nsf_entry_number(name), inode);
    if (is_tun(dir, name, text, bytes))
        return nsf_search_tun(search, place, nsf_entry_number(name));
    int32_t row = nsf_finding_known(&search->found, text, (size_t)bytes, &type, &inode);
    if (row == -EINVAL || is_pin(search, place, dir, name, text, bytes))
        return 0;
    return search_namespace(search, place, dir, name, row);
}

int nsf_search_descriptors(struct nsf_search *search, struct nsf_place *place, int dir) {
    struct nsf_list list;
    int result = 0;
    nsf_list_start(&list, dir);
    for (const char *name; result == 0 && (name = nsf_list_next(&list));)
        result = search_descriptor(search, place, dir, name);
    if (list.errnum != 0)
        nsf_finding_hide(&search->found, NSF_HIDDEN_FD, list.errnum);
    return result < 0 ? result : 0;
}
