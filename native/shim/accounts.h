/* passwd(5) and group(5) of a root that may be hostile, read without any library: no name service, no module of the root's is ever loaded
 * (CVE-2019-14271). Pure but for reading the descriptor; test/fuzz/targets/accounts.c. */
#ifndef NSFLEET_SHIM_ACCOUNTS_H
#define NSFLEET_SHIM_ACCOUNTS_H

#include <stddef.h>
#include <stdint.h>

#define ACCOUNTS_LINE_MAX 65536u           /* a group with thousands of members */
#define ACCOUNTS_SIZE_MAX (4u * 1024u * 1024u)

/* The file that is being read. One at a time, and not on the stack. */
struct accounts {
    int fd;
    size_t start, seen, end, total;
    char buffer[ACCOUNTS_LINE_MAX];
};

/* A part of a line; not ended by NUL. */
struct words {
    const char *at;
    size_t length;
};

struct passwd_entry {
    struct words name, home, shell;
    uint32_t uid, gid;
};

struct group_entry {
    struct words name, members;
    uint32_t gid;
};

void accounts_begin(struct accounts *accounts, int fd);

/* 1 and the next line without its newline, 0 at the end, -EFBIG past one of the limits above, or another -errno. */
int accounts_next(struct accounts *accounts, struct words *line);

/* 0 or -EBADMSG, where only the name may be used. Ids are whole decimal numbers below 2^32 - 1. */
int passwd_parse(struct words line, struct passwd_entry *entry);
int group_parse(struct words line, struct group_entry *entry);

/* The first entry with that name, or with that id where name is NULL: 1 found, 0 none, -EBADMSG the named entry is malformed, or as accounts_next.
 * What it points to lasts until the next call. */
int passwd_find(struct accounts *accounts, const char *name, uint32_t uid, struct passwd_entry *entry);
int group_find(struct accounts *accounts, const char *name, struct group_entry *entry);

/* The next group that lists the user as a member: 1, 0 at the end, or as accounts_next. */
int group_of(struct accounts *accounts, const char *user, struct group_entry *entry);

int words_are(struct words words, const char *string);

#endif
