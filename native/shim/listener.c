#include "load.h"
#include "run.h"
#include "sys.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

int listener_open(void) {
    /* Through the descriptor: sun_path holds 107 bytes, a state directory's path may be longer. */
    struct sockaddr_un address = {AF_UNIX, "/proc/self/fd/5/shim.sock"};
    OWNED_FD fd = SYS(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return fd;
    SYS(SYS_unlinkat, STATE_FD, "shim.sock", 0); /* of a try that was killed */
    mode_t old = SYS(SYS_umask, 0177);
    int result = SYS(SYS_bind, fd, (struct sockaddr *)&address, sizeof address);
    SYS(SYS_umask, old);
    if (result < 0 || (result = SYS(SYS_listen, fd, CONNECTIONS_MAX)) < 0) return result;
    result = fd;
    fd = -1;
    return result;
}
