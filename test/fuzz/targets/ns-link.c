/* What readlink says of a namespace's file and of a socket. */
#include "ns_link.h"

#include "nsfleet.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const char *text = (const char *)data;
    uint64_t inode = 0;
    int type = nsf_parse_ns_link(text, bytes, &inode);
    if (type < -1 || type >= NSF_TYPES || (type >= 0 && (bytes < 6 || text[bytes - 1] != ']')))
        abort();
    if (nsf_parse_socket_link(text, bytes, &inode) && type >= 0)
        abort();
    return 0;
}
