/* passwd(5) and group(5) of a hostile root. */
#include "shim/accounts.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct accounts accounts;

static void begin(int fd) {
    if (lseek(fd, 0, SEEK_SET) != 0)
        abort();
    accounts_begin(&accounts, fd);
}

/* Inside what was read, and nothing of the line's own punctuation in it. */
static void check(struct words words) {
    if (words.at < accounts.buffer || words.at + words.length > accounts.buffer + sizeof accounts.buffer)
        abort();
    if (memchr(words.at, ':', words.length) != NULL || memchr(words.at, '\n', words.length) != NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct passwd_entry user;
    struct group_entry group;
    int fd = memfd_create("accounts", 0);
    if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes)
        abort();
    begin(fd);
    if (passwd_find(&accounts, "www", 0, &user) == 1) {
        check(user.name);
        check(user.home);
        check(user.shell);
        if (!words_are(user.name, "www") || user.uid == UINT32_MAX || user.gid == UINT32_MAX)
            abort();
    }
    begin(fd);
    if (passwd_find(&accounts, NULL, 33, &user) == 1 && user.uid != 33)
        abort();
    begin(fd);
    if (group_find(&accounts, "log", &group) == 1) {
        check(group.members);
        if (!words_are(group.name, "log") || group.gid == UINT32_MAX)
            abort();
    }
    begin(fd);
    while (group_of(&accounts, "www", &group) == 1)
        if (group.members.length < 3)
            abort();
    close(fd);
    return 0;
}
