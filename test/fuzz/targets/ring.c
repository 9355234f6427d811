/* Pages of the kernel's ring buffer, as `shim watch` reads them, into its set. */
#include "../../../native/shim/watch.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static struct watch_source source;
    static struct watch_set set;
    static uint32_t runs;
    const struct watch_event events[] = {{205, 8, WATCH_NEW}, {369, 24, WATCH_EXIT}, {370, 12, WATCH_GONE}, {5, UINT32_MAX, WATCH_MOUNT}, {6, 4, WATCH_NAMESPACES}};
    memcpy(source.event, events, sizeof events);
    source.events = sizeof events / sizeof *events;
    /* Not emptied each time, so that it also runs full. */
    if (runs++ % 16 == 0)
        memset(&set, 0, sizeof set);
    int heard = watch_ring_page(&source, data, (uint32_t)bytes, &set);
    if (heard < 0 || heard > 1 || set.count > WATCH_PIDS_MAX)
        abort();
    return 0;
}
