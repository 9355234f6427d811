/*
 * Two ways to hurt nsf_parse_stat, under the sanitizers: names of every byte in a well-formed line must come back as
 * they are, and lines with bytes changed, cut and doubled must not make it read beyond the text. argv[1] is the seed,
 * argv[2] the rounds. With clang's libFuzzer: -DLIBFUZZER -fsanitize=fuzzer,address,undefined.
 */
#include "proc_stat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* On the heap and exactly as long, so that one byte too many is seen. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct nsf_stat stat;
    char *text = malloc(bytes ? bytes : 1);
    if (!text)
        return 0;
    memcpy(text, data, bytes);
    if (nsf_parse_stat(text, bytes, &stat) == 0 && (stat.comm_bytes > sizeof stat.comm || stat.pid < 0 || stat.ppid < 0))
        abort();
    free(text);
    return 0;
}

#ifndef LIBFUZZER
static uint64_t state;

static uint32_t draw(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 11) % below;
}

static size_t write_line(char *out, size_t room, const char *comm, size_t comm_bytes, int pid, int ppid, uint64_t start) {
    size_t used = (size_t)snprintf(out, room, "%d (", pid);
    memcpy(out + used, comm, comm_bytes);
    used += comm_bytes;
    used += (size_t)snprintf(out + used, room - used, ") S %d 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 %llu 5783552 200\n", ppid,
                             (unsigned long long)start);
    return used;
}

static void round_trip(char *line, size_t room) {
    static const char nasty[] = ") (\n\t\\\033\0a1\377 R";
    struct nsf_stat stat;
    char comm[64];
    size_t comm_bytes = draw(sizeof comm);
    for (size_t i = 0; i < comm_bytes; i++)
        comm[i] = draw(2) ? nasty[draw(sizeof nasty - 1)] : (char)draw(256);
    int pid = (int)draw(0x7fffffff);
    int ppid = (int)draw(0x7fffffff);
    uint64_t start = (uint64_t)draw(0x7fffffff) * draw(0x7fffffff);
    size_t bytes = write_line(line, room, comm, comm_bytes, pid, ppid, start);
    size_t kept = comm_bytes > sizeof stat.comm ? sizeof stat.comm : comm_bytes;
    if (nsf_parse_stat(line, bytes, &stat) != 0 || stat.pid != pid || stat.ppid != ppid || stat.start_ticks != start ||
        stat.state != 'S' || stat.comm_bytes != kept || memcmp(stat.comm, comm, kept) != 0) {
        fprintf(stderr, "came back different: %.*s\n", (int)bytes, line);
        exit(1);
    }
}

static void mutate(char *line, size_t room) {
    size_t bytes = write_line(line, room, "a) R 1 (b", 9, 12, 1, 4242);
    for (uint32_t changes = draw(8); changes > 0 && bytes > 0; changes--) {
        size_t at = draw((uint32_t)bytes);
        switch (draw(4)) {
        case 0:
            line[at] = (char)draw(256);
            break;
        case 1:
            bytes = at;
            break;
        case 2:
            line[at] = "() 9-\n"[draw(6)];
            break;
        default:
            memmove(line, line + at, bytes - at);
            bytes -= at;
        }
    }
    LLVMFuzzerTestOneInput((const uint8_t *)line, bytes);
}

int main(int argc, char **argv) {
    char line[512];
    state = argc > 1 ? strtoull(argv[1], NULL, 10) | 1 : 1;
    for (long rounds = argc > 2 ? atol(argv[2]) : 100000; rounds > 0; rounds--) {
        round_trip(line, sizeof line);
        mutate(line, sizeof line);
    }
    puts("done");
    return 0;
}
#endif
