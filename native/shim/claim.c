#include "claim.h"

#include "sys.h"
#include "text.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

/* The range's last holder was told gone a moment ago and may still be on its way out. */
enum { CLAIM_TRIES = 100, CLAIM_PAUSE_NS = 2000000 };

static int claim(uint32_t outside) {
    struct sockaddr_un address;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    /* The first byte stays 0: a name that is in no file system. */
    char *name = address.sun_path + 1;
    struct text text = {name, sizeof address.sun_path - 1, 0};
    text_add(&text, "nsfleet/ids/");
    text_number(&text, outside);
    /* Never closed: it is held until the end of this process. The inner half and the command close all that is not theirs. */
    int fd = SYS(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return fd;
    for (int tries = 1;; tries++) {
        struct timespec pause = {0, CLAIM_PAUSE_NS};
        int result = SYS(SYS_bind, fd, &address, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
        if (result != -EADDRINUSE || tries == CLAIM_TRIES) return result;
        SYS(SYS_nanosleep, &pause, NULL);
    }
}

int claim_ids(const struct plan *plan, struct failure *failure) {
    /* The ids of a user namespace that is there already are somebody's already. */
    if ((plan->namespaces & SYS_CLONE_NEWUSER) == 0) return 0;
    for (unsigned i = 0; i < plan->uid_maps; i++) {
        if (plan->uid_map[i].count == 1) continue;
        int result = claim(plan->uid_map[i].outside);
        if (result < 0) return fail(failure, result, -1, "id_range", "another sandbox of this host has it");
    }
    return 0;
}
