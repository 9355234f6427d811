/* fdinfo, schedstat and loadavg. A number that is told stands in the text. */
#include "proc_text.h"

#include "holders.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const char *text = (const char *)data;
    struct nsf_runs runs;
    if (nsf_parse_fd_flags(text, bytes) < -1)
        abort();
    if (nsf_parse_runs(text, bytes, &runs) && runs.runs == 0)
        abort();
    if (nsf_parse_threads(text, bytes) > 0 && !memchr(text, '/', bytes))
        abort();
    return 0;
}
