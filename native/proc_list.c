#include "proc_list.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

struct entry { /* struct linux_dirent64, which glibc 2.28 does not show */
    uint64_t inode;
    int64_t offset;
    unsigned short bytes;
    unsigned char type;
    char name[];
};

void nsf_list_start(struct nsf_list *list, int dir) {
    list->dir = dir;
    list->errnum = 0;
    list->bytes = 0;
    list->at = 0;
}

const char *nsf_list_next(struct nsf_list *list) {
    for (;;) {
        if (list->at >= list->bytes) {
            /* Until nothing comes: room that is left says nothing, a signal or the freezer cuts the list anywhere (fs/readdir.c, filldir64). */
            list->at = 0;
            list->bytes = syscall(SYS_getdents64, list->dir, list->entries, sizeof list->entries);
            if (list->bytes < 0)
                list->errnum = errno;
            if (list->bytes <= 0)
                return NULL;
        }
        const struct entry *entry = (const struct entry *)(void *)(list->entries + list->at);
        list->at += entry->bytes;
        if (entry->name[0] >= '0' && entry->name[0] <= '9')
            return entry->name;
    }
}

/* By a hash of the pid and not by its place in the list, which changes while another thread reads it, too. */
int nsf_is_in_part(const char *name, uint32_t part, uint32_t parts) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    if (parts == 1)
        return 1;
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return (hash >> 8) % parts == part;
}
