/*
 * A small fuzzer for machines without libFuzzer: inputs of a corpus are changed and crossed, and those that reach edges of the parser that no other
 * did are kept (gcc's and clang's -fsanitize-coverage=trace-pc, with which the target is compiled and this file is not).
 *
 * driver SEED SECONDS INPUT KEEP CORPUS…: runs every file of CORPUS, then mutations for SECONDS. INPUT always holds the input that is being run (its
 * length in eight bytes, then itself), so that it is there after a crash. Inputs with new edges, those of CORPUS among
 * them, are written to the directory KEEP, unless that is "-": with no SECONDS and the smallest files first that is a corpus without what is not needed.
 * With the same seed the same inputs come in the same order.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
void __sanitizer_cov_trace_pc(void);

#define INPUT_MAX 65536u
#define CORPUS_MAX 4096u
#define EDGES 65536u
#define CLOCK_EVERY 256

struct input {
    uint8_t *data;
    size_t bytes;
};

static struct input corpus[CORPUS_MAX];
static uint32_t corpus_count;
static uint8_t seen[EDGES]; /* classes of counts, a bit each */
static uint8_t hits[EDGES];
static uint32_t touched[EDGES];
static uint32_t touched_count;
static uintptr_t before;
static uint64_t state;

static uint32_t draw(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below == 0 ? 0 : (uint32_t)(state >> 11) % below;
}

void __sanitizer_cov_trace_pc(void) {
    /* Relative: addresses are others in every run. */
    uintptr_t pc = (uintptr_t)__builtin_return_address(0) - (uintptr_t)&draw;
    uint32_t edge = (uint32_t)(((pc * 0x9e3779b97f4a7c15u) >> 40) ^ before) % EDGES;
    before = ((pc * 0x9e3779b97f4a7c15u) >> 41) % EDGES;
    if (hits[edge] == 0)
        touched[touched_count++] = edge;
    if (hits[edge] < 255)
        hits[edge]++;
}

/* 1, 2, 3, 4-7, 8-15, …: a loop that runs once more is only news while it is short. */
static uint8_t class_of(uint8_t count) {
    return count < 4 ? (uint8_t)(1u << (count - 1)) : count < 8 ? 8 : count < 16 ? 16 : count < 32 ? 32 : count < 128 ? 64 : 128;
}

/* Whether it reached something new. A copy on the heap and exactly as long: one byte too many is seen. */
static int run(uint8_t *shown, const uint8_t *data, size_t bytes) {
    uint64_t length = bytes;
    int fresh = 0;
    uint8_t *copy = malloc(bytes ? bytes : 1);
    if (!copy)
        exit(2);
    memcpy(copy, data, bytes);
    memcpy(shown, &length, sizeof length);
    memcpy(shown + sizeof length, data, bytes);
    before = 0;
    touched_count = 0;
    LLVMFuzzerTestOneInput(copy, bytes);
    free(copy);
    for (uint32_t i = 0; i < touched_count; i++) {
        uint8_t class = class_of(hits[touched[i]]);
        hits[touched[i]] = 0;
        fresh |= (seen[touched[i]] & class) == 0;
        seen[touched[i]] |= class;
    }
    return fresh;
}

static void add(const uint8_t *data, size_t bytes) {
    if (corpus_count == CORPUS_MAX)
        return;
    uint8_t *copy = malloc(bytes ? bytes : 1);
    if (!copy)
        exit(2);
    memcpy(copy, data, bytes);
    corpus[corpus_count++] = (struct input){copy, bytes};
}

static void keep(const char *directory, const char *prefix, unsigned long number, const uint8_t *data, size_t bytes) {
    char path[512];
    if (strcmp(directory, "-") == 0)
        return;
    snprintf(path, sizeof path, "%s/%s-%06lu", directory, prefix, number);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, bytes, file) != bytes || fclose(file) != 0)
        exit(2);
}

/* Makes room for, or takes away, bytes at AT. The new length. */
static size_t shift(uint8_t *data, size_t bytes, size_t at, size_t take, size_t give) {
    if (bytes - take + give > INPUT_MAX)
        give = INPUT_MAX - (bytes - take);
    memmove(data + at + give, data + at + take, bytes - at - take);
    return bytes - take + give;
}

static size_t insert(uint8_t *data, size_t bytes, size_t at, const uint8_t *what, size_t length) {
    size_t after = shift(data, bytes, at, 0, length);
    memcpy(data + at, what, after - bytes);
    return after;
}

static const char *const words[] = {" ",  "\n", "\t", ")", "(", "[",          "]",    ":",    "/",  "-",      " - ", "\\040",       "\\012", "\\",
                                    "\\777", "-1", "0", "4294967295", "4294967296", "18446744073709551615", "18446744073709551616", "99999999999999999999999", "net:[4026532000]",
                                    "nsfs", "flags:\t", "0::/", "socket:[", "999999999", "\xff", "\xc3\xbc"};
#define WORDS (sizeof words / sizeof *words)

static size_t mutate(uint8_t *data, size_t bytes) {
    static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff, ' ', '\n', '0', '9'};
    size_t at = draw((uint32_t)bytes + 1);
    size_t length = 1 + draw(draw(4) == 0 ? 256 : 8);
    if (length > bytes - at)
        length = bytes - at;
    switch (draw(9)) {
    case 0:
        if (length > 0)
            data[at] ^= (uint8_t)(1u << draw(8));
        return bytes;
    case 1:
        if (length > 0)
            data[at] = edges[draw(sizeof edges)];
        return bytes;
    case 2:
        for (size_t i = 0; i < length; i++)
            data[at + i] = (uint8_t)draw(256);
        return bytes;
    case 3:
        return shift(data, bytes, at, length, 0);
    case 4:
        return draw(4) == 0 ? at : bytes;
    case 5: {
        uint8_t copy[256];
        memcpy(copy, data + at, length);
        return insert(data, bytes, draw((uint32_t)bytes + 1), copy, length);
    }
    case 6: {
        const char *word = words[draw(WORDS)];
        return insert(data, bytes, at, (const uint8_t *)word, strlen(word));
    }
    case 7: {
        /* The beginning of this one, the end of another. */
        const struct input *other = &corpus[draw(corpus_count)];
        size_t from = draw((uint32_t)other->bytes + 1);
        return insert(data, at, at, other->data + from, other->bytes - from);
    }
    default:
        /* Twice as long: what has a limit must meet it. */
        return draw(8) == 0 ? insert(data, bytes, bytes, data, bytes) : bytes;
    }
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void load(uint8_t *shown, const char *path, const char *directory, unsigned long number) {
    static uint8_t data[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    if (!file)
        exit(2);
    size_t bytes = fread(data, 1, sizeof data, file);
    fclose(file);
    if (run(shown, data, bytes))
        keep(directory, "given", number, data, bytes);
    add(data, bytes);
}

int main(int argc, char **argv) {
    static uint8_t data[INPUT_MAX * 2];
    if (argc < 5)
        return 2;
    state = strtoull(argv[1], NULL, 10) * 2 + 1;
    double seconds = atof(argv[2]);
    int file = open(argv[3], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, INPUT_MAX + 8) != 0)
        return 2;
    uint8_t *shown = mmap(NULL, INPUT_MAX + 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shown == MAP_FAILED)
        return 2;
    for (int i = 5; i < argc; i++)
        load(shown, argv[i], argv[4], (unsigned long)i);
    add((const uint8_t *)"", 0);
    uint32_t given = corpus_count;
    unsigned long runs = corpus_count;
    for (double end = now() + seconds; runs % CLOCK_EVERY != 0 || now() < end; runs++) {
        const struct input *from = &corpus[draw(corpus_count)];
        size_t bytes = from->bytes;
        memcpy(data, from->data, bytes);
        for (uint32_t changes = 1 + draw(6); changes > 0; changes--)
            bytes = mutate(data, bytes);
        if (run(shown, data, bytes)) {
            add(data, bytes);
            keep(argv[4], "new", runs, data, bytes);
        }
    }
    uint32_t edges = 0;
    for (uint32_t i = 0; i < EDGES; i++)
        edges += seen[i] != 0;
    printf("%lu executions, seed %s, %u inputs given, %u found, %u edges\n", runs, argv[1], given - 1, corpus_count - given, edges);
    return 0;
}
