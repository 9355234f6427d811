/* A library that loads and answers, but was built from another nsfleet.h. */
#include <stdint.h>
#include <string.h>

int nsf_layout(char *out, uint32_t bytes) {
    static const char text[] = "abi 999\n";
    if (bytes < sizeof text)
        return -1;
    memcpy(out, text, sizeof text);
    return 0;
}
