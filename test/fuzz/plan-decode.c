/* Every single-byte mutation and every truncation of a plan against the shim's decoder. The buffer ends at a page that cannot be
 * read, so a read past the end is a crash with or without a sanitizer. Reads a plan from stdin; prints how many it tried. */
#include "../../native/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct plan plan;
static unsigned long tried, accepted;

/* Uses what a successful decode promises: counts within limits, strings that end. */
static void use(void) {
    size_t sum = strlen(plan.cwd);
    for (unsigned i = 0; i < plan.argc; i++) sum += strlen(plan.argv[i]);
    for (unsigned i = 0; i < plan.envc; i++) sum += strlen(plan.envp[i]);
    for (unsigned i = 0; i < plan.ops; i++) {
        if (plan_op_name(plan.op[i].op)[0] == 'u' && plan_op_name(plan.op[i].op)[2] == 'k') abort(); /* "unknown" */
        for (unsigned s = 0; s < plan.op[i].strings; s++) {
            /* A filter's program may hold NUL; it too has one behind it, inside the buffer. */
            if ((plan.op[i].op == OP_SECCOMP || plan.op[i].op == OP_SECCOMP_LOG) && s == 1 ? plan.op[i].string[s][plan.op[i].length[s]] != 0 : strlen(plan.op[i].string[s]) != plan.op[i].length[s])
                abort();
        }
    }
    if (plan.argv[plan.argc] != NULL || plan.envp[plan.envc] != NULL || sum > PLAN_SIZE_MAX) abort();
}

static void decode(unsigned char *end, const unsigned char *bytes, size_t length) {
    unsigned char *at = end - length;
    memcpy(at, bytes, length);
    tried++;
    if (plan_decode(at, length, &plan) == 0) {
        accepted++;
        use();
    }
}

int main(void) {
    static unsigned char bytes[PLAN_SIZE_MAX];
    static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    size_t length = fread(bytes, 1, sizeof bytes, stdin), page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (length + 8 + page - 1) / page * page;
    unsigned char *memory = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory + room, page, PROT_NONE) != 0) return 2;
    unsigned char *end = memory + room;

    decode(end, bytes, length);
    if (accepted != 1) return 3;
    for (size_t i = 0; i < length; i++) decode(end, bytes, i);
    if (accepted != 1) return 4;
    for (size_t i = 0; i < length; i++) {
        unsigned char original = bytes[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] = (unsigned char)(original ^ (1u << bit));
            decode(end, bytes, length);
        }
        for (unsigned v = 0; v < sizeof values; v++) {
            bytes[i] = values[v];
            decode(end, bytes, length);
        }
        bytes[i] = original;
        /* Lengths and counts: four bytes at once, and the total to match a truncation. */
        if (i + 4 <= length) {
            unsigned char four[4];
            memcpy(four, bytes + i, 4);
            memset(bytes + i, 0xff, 4);
            decode(end, bytes, length);
            memcpy(bytes + i, four, 4);
        }
    }
    for (uint32_t cut = 0; cut < length; cut++) {
        unsigned char total[4];
        memcpy(total, bytes + 8, 4);
        memcpy(bytes + 8, &cut, 4);
        decode(end, bytes, cut);
        memcpy(bytes + 8, total, 4);
    }
    printf("%lu tried, %lu accepted\n", tried, accepted);
    return 0;
}
