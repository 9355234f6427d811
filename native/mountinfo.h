#ifndef NSF_MOUNTINFO_H
#define NSF_MOUNTINFO_H

#include <stddef.h>
#include <stdint.h>

/* One line of /proc/<pid>/mountinfo (proc_pid_mountinfo(5)). Texts point into the line, with the kernel's \ooo escapes. */
struct nsf_mountinfo {
    uint32_t id;
    uint32_t parent;
    char *root;
    size_t root_bytes;
    char *point;
    size_t point_bytes;
    char *type; /* of the file system */
    size_t type_bytes;
};

/* Parses a line without its newline: 0 or -EINVAL. */
int nsf_parse_mountinfo(char *line, size_t bytes, struct nsf_mountinfo *out);

/* Writes TEXT to OUT, which has room for as many bytes, with its escapes undone; returns the length. Works in place. */
size_t nsf_unescape_mountinfo(const char *text, size_t bytes, char *out);

/*
 * Calls EACH for every line of the file PATH below DIR that parses, until one returns less than 0, which is handed on. The texts are there for the
 * call only, and a byte may be written behind each. Otherwise 0 or -errno.
 */
typedef int (*nsf_each_line)(void *arg, const struct nsf_mountinfo *line);
int nsf_read_mountinfo(int dir, const char *path, nsf_each_line each, void *arg);

#endif
