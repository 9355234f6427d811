/* Built by build.mjs in the place of the shim's own main, with its start.c and bytes.c. `nsfleet-shim first ""` checks what those promise and exits
 * 0, or with the line that failed. `smash` writes over an array, `room` copies more than _FORTIFY_SOURCE knows there to be room for. */
#include "sys.h"

#include <string.h>

#define CHECK(truth) \
    if (!(truth)) return __LINE__ & 0x7f

int main(int argc, char **argv);
extern uintptr_t __stack_chk_guard __attribute__((visibility("hidden")));

/* Pointers, which have to be relocated. */
static const char *volatile words[] = {"one", "two"};
static int (*volatile entry)(int, char **) = main;

__attribute__((noinline)) static void fill(char *at, volatile size_t n) {
    while (n-- > 0) at[n] = 'x';
}

__attribute__((noinline)) static int smash(volatile size_t n) {
    char bytes[16];
    fill(bytes, n);
    return bytes[3];
}

__attribute__((noinline)) static int overrun(const char *from, volatile size_t n) {
    char bytes[16];
    memcpy(bytes, from, n);
    return ((volatile char *)bytes)[3];
}

static int check_bytes(void) {
    char text[64] = "";
    char *volatile t = text; /* so that the compiler computes nothing itself */
    memcpy(t, "abcdefgh", 9);
    CHECK(strlen(t) == 8 && strcmp(t, "abcdefgh") == 0 && strcmp(t, "abcdefg") > 0 && strcmp(t, "abd") < 0 && strcmp(t, "\xff") < 0);
    memmove(t + 2, t, 6);
    CHECK(strcmp(t, "ababcdef") == 0);
    memmove(t, t + 2, 6);
    CHECK(strcmp(t, "abcdefef") == 0);
    memmove(t, t, 8);
    CHECK(memcmp(t, "abcdefef", 9) == 0 && memcmp(t, "abd", 3) < 0 && memcmp(t, "abd", 2) == 0 && memcmp(t, "", 0) == 0);
    CHECK(strncmp(t, "abcxyz", 3) == 0 && strncmp(t, "abcxyz", 4) < 0 && strncmp(t, "abcdefefg", 20) < 0 && strncmp(t, "x", 0) == 0);
    CHECK(strchr(t, 'e') == t + 4 && strrchr(t, 'e') == t + 6 && strchr(t, 'z') == NULL && strrchr(t, 'z') == NULL);
    CHECK(strchr(t, 0) == t + 8 && strrchr(t, 0) == t + 8 && memchr(t, 'f', 5) == NULL && memchr(t, 'f', 6) == t + 5);
    CHECK(strcspn(t, "fd") == 3 && strcspn(t, "") == 8 && strcspn(t, "xyz") == 8 && strcspn("", "a") == 0);
    CHECK(memset(t, 0x1ff, 3) == t && t[0] == '\xff' && t[2] == '\xff' && t[3] == 'd');
    CHECK(memset(t, 0, 0) == t && t[0] == '\xff' && memcpy(t, "z", 0) == t && t[0] == '\xff');
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "smash") == 0) return smash(64);
    if (argc == 2 && strcmp(argv[1], "room") == 0) return overrun(argv[1], 64);
    if (argc == 2 && strcmp(argv[1], "address") == 0) {
        uintptr_t here = (uintptr_t)main;
        SYS(SYS_write, 1, &here, sizeof here);
        return 0;
    }
    CHECK(argc == 3 && strcmp(argv[1], "first") == 0 && strcmp(argv[2], "") == 0 && argv[3] == NULL);
    CHECK(strcmp(words[0], "one") == 0 && strcmp(words[1], "two") == 0 && entry == main);
    CHECK(__stack_chk_guard != 0 && (__stack_chk_guard & 0xff) == 0);
    CHECK(((uintptr_t)__builtin_frame_address(0) & 0xf) == 0);
    CHECK(SYS(SYS_close, -1) == -EBADF && SYS(SYS_getpid) > 0);
    return check_bytes();
}
