#include "accounts.h"

#include "sys.h"

#include <string.h>

void accounts_begin(struct accounts *accounts, int fd) {
    accounts->fd = fd;
    accounts->start = accounts->seen = accounts->end = accounts->total = 0;
}

static int fill(struct accounts *accounts) {
    int n;
    if (accounts->start > 0) {
        memmove(accounts->buffer, accounts->buffer + accounts->start, accounts->end - accounts->start);
        accounts->end -= accounts->start;
        accounts->seen -= accounts->start;
        accounts->start = 0;
    }
    if (accounts->end == sizeof accounts->buffer) return -EFBIG;
    do n = SYS(SYS_read, accounts->fd, accounts->buffer + accounts->end, sizeof accounts->buffer - accounts->end);
    while (n == -EINTR);
    if (n <= 0) return n;
    accounts->end += (size_t)n;
    accounts->total += (size_t)n;
    return accounts->total > ACCOUNTS_SIZE_MAX ? -EFBIG : 1;
}

int accounts_next(struct accounts *accounts, struct words *line) {
    for (;;) {
        const char *newline = memchr(accounts->buffer + accounts->seen, '\n', accounts->end - accounts->seen);
        if (newline != NULL) accounts->seen = (size_t)(newline - accounts->buffer);
        else {
            accounts->seen = accounts->end;
            int result = fill(accounts);
            if (result < 0) return result;
            if (result > 0) continue;
            if (accounts->start == accounts->end) return 0;
        }
        *line = (struct words){accounts->buffer + accounts->start, accounts->seen - accounts->start};
        if (newline != NULL) accounts->seen++;
        accounts->start = accounts->seen;
        return 1;
    }
}

/* Cuts off what stands before the separator, or all that is left. */
static struct words cut(struct words *rest, char separator) {
    const char *at = memchr(rest->at, separator, rest->length);
    struct words part = {rest->at, at == NULL ? rest->length : (size_t)(at - rest->at)};
    size_t used = part.length + (at != NULL);
    rest->at += used;
    rest->length -= used;
    return part;
}

static unsigned fields(struct words line) {
    unsigned count = 1;
    for (size_t i = 0; i < line.length; i++) count += line.at[i] == ':';
    return count;
}

/* 0 or -EBADMSG. No sign, no space, nothing after it; (id_t)-1 is nobody. */
static int parse_id(struct words words, uint32_t *id) {
    uint64_t number = 0;
    if (words.length == 0 || words.length > 10) return -EBADMSG;
    for (size_t i = 0; i < words.length; i++) {
        if (words.at[i] < '0' || words.at[i] > '9') return -EBADMSG;
        number = number * 10 + (uint64_t)(words.at[i] - '0');
    }
    if (number >= UINT32_MAX) return -EBADMSG;
    *id = (uint32_t)number;
    return 0;
}

int passwd_parse(struct words line, struct passwd_entry *entry) {
    unsigned count = fields(line);
    entry->name = cut(&line, ':');
    if (count != 7 || memchr(line.at, 0, line.length) != NULL) return -EBADMSG;
    cut(&line, ':'); /* the password: x */
    if (parse_id(cut(&line, ':'), &entry->uid) < 0 || parse_id(cut(&line, ':'), &entry->gid) < 0) return -EBADMSG;
    cut(&line, ':'); /* gecos */
    entry->home = cut(&line, ':');
    entry->shell = line;
    return 0;
}

int group_parse(struct words line, struct group_entry *entry) {
    unsigned count = fields(line);
    entry->name = cut(&line, ':');
    if (count != 4) return -EBADMSG;
    cut(&line, ':');
    if (parse_id(cut(&line, ':'), &entry->gid) < 0) return -EBADMSG;
    entry->members = line;
    return 0;
}

int words_are(struct words words, const char *string) {
    return strlen(string) == words.length && memcmp(words.at, string, words.length) == 0;
}

int passwd_find(struct accounts *accounts, const char *name, uint32_t uid, struct passwd_entry *entry) {
    struct words line;
    int result;
    while ((result = accounts_next(accounts, &line)) > 0) {
        int broken = passwd_parse(line, entry);
        /* Others may be as broken as they like. */
        if (name != NULL ? words_are(entry->name, name) : broken == 0 && entry->uid == uid) return broken < 0 ? broken : 1;
    }
    return result;
}

int group_find(struct accounts *accounts, const char *name, struct group_entry *entry) {
    struct words line;
    int result;
    while ((result = accounts_next(accounts, &line)) > 0) {
        int broken = group_parse(line, entry);
        if (words_are(entry->name, name)) return broken < 0 ? broken : 1;
    }
    return result;
}

int group_of(struct accounts *accounts, const char *user, struct group_entry *entry) {
    struct words line;
    int result;
    while ((result = accounts_next(accounts, &line)) > 0) {
        if (group_parse(line, entry) < 0) continue;
        struct words members = entry->members;
        while (members.length > 0)
            if (words_are(cut(&members, ','), user)) return 1;
    }
    return result;
}
