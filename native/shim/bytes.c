/* What the shim and the compiler use of <string.h>, for a program without libc. Simple, for what is moved here is small. The empty
 * assembly keeps the compiler from recognising a loop and calling, in its place, the function that it stands in. */
#include <stddef.h>

#define PLAIN_LOOP __asm__ volatile("")

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *at, int byte, size_t n);
size_t strlen(const char *string);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *string, int byte);
char *strrchr(const char *string, int byte);
size_t strcspn(const char *string, const char *reject);
void *__memcpy_chk(void *restrict to, const void *restrict from, size_t n, size_t room);
void *__memmove_chk(void *to, const void *from, size_t n, size_t room);
void *__memset_chk(void *to, int byte, size_t n, size_t room);

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    return memmove(to, from, n);
}

void *memmove(void *to, const void *from, size_t n) {
    char *out = to;
    const char *in = from;
#if defined(__x86_64__)
    if ((size_t)(out - in) >= n) {
        __asm__ volatile("rep movsb" : "+D"(out), "+S"(in), "+c"(n) : : "memory");
        return to;
    }
#endif
    if ((size_t)(out - in) >= n) {
        for (size_t i = 0; i < n; i++) {
            PLAIN_LOOP;
            out[i] = in[i];
        }
    } else {
        while (n-- > 0) {
            PLAIN_LOOP;
            out[n] = in[n];
        }
    }
    return to;
}

void *memset(void *to, int byte, size_t n) {
    char *out = to;
#if defined(__x86_64__)
    __asm__ volatile("rep stosb" : "+D"(out), "+c"(n) : "a"(byte) : "memory");
#else
    for (size_t i = 0; i < n; i++) {
        PLAIN_LOOP;
        out[i] = (char)byte;
    }
#endif
    return to;
}

int memcmp(const void *a, const void *b, size_t n) {
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < n; i++) {
        PLAIN_LOOP;
        if (x[i] != y[i]) return x[i] - y[i];
    }
    return 0;
}

void *memchr(const void *at, int byte, size_t n) {
    const unsigned char *bytes = at;
    for (size_t i = 0; i < n; i++) {
        PLAIN_LOOP;
        if (bytes[i] == (unsigned char)byte) return (void *)(bytes + i);
    }
    return NULL;
}

size_t strlen(const char *string) {
    size_t n = 0;
    for (; string[n] != 0; n++) PLAIN_LOOP;
    return n;
}

int strncmp(const char *a, const char *b, size_t n) {
    for (; n > 0; a++, b++, n--) {
        PLAIN_LOOP;
        if (*a != *b) return (unsigned char)*a - (unsigned char)*b;
        if (*a == 0) return 0;
    }
    return 0;
}

int strcmp(const char *a, const char *b) {
    return strncmp(a, b, (size_t)-1);
}

char *strchr(const char *string, int byte) {
    for (;; string++) {
        PLAIN_LOOP;
        if (*string == (char)byte) return (char *)string;
        if (*string == 0) return NULL;
    }
}

char *strrchr(const char *string, int byte) {
    const char *found = NULL;
    for (;; string++) {
        PLAIN_LOOP;
        if (*string == (char)byte) found = string;
        if (*string == 0) return (char *)found;
    }
}

size_t strcspn(const char *string, const char *reject) {
    size_t n = 0;
    for (; string[n] != 0; n++)
        if (strchr(reject, string[n]) != NULL) break;
    return n;
}

/* What _FORTIFY_SOURCE makes of the first three where it knows how much room there is. */
void *__memcpy_chk(void *restrict to, const void *restrict from, size_t n, size_t room) {
    if (n > room) __builtin_trap();
    return memmove(to, from, n);
}

void *__memmove_chk(void *to, const void *from, size_t n, size_t room) {
    if (n > room) __builtin_trap();
    return memmove(to, from, n);
}

void *__memset_chk(void *to, int byte, size_t n, size_t room) {
    if (n > room) __builtin_trap();
    return memset(to, byte, n);
}
