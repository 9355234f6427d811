#include "connection.h"

#include "sys.h"
#include "text.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static struct request parse(const char *line) {
    struct request request = {REQUEST_UNKNOWN, 0};
    if (strcmp(line, "kill") == 0) request.type = REQUEST_KILL;
    if (strcmp(line, "active") == 0) request.type = REQUEST_ACTIVE;
    if (strncmp(line, "signal ", 7) == 0 && (request.signal = (int)text_parse_number(line + 7, 64)) > 0) request.type = REQUEST_SIGNAL;
    return request;
}

int connection_read(struct connection *connection, void (*each)(void *context, struct connection *from, struct request request),
                        void *context) {
    int n = SYS(SYS_recvfrom, connection->fd, connection->line + connection->length, sizeof connection->line - connection->length,
                            MSG_DONTWAIT, NULL, NULL);
    if (n == -EAGAIN || n == -EINTR) return 0;
    if (n <= 0) return -1;
    connection->length += (unsigned)n;
    for (;;) {
        char *end = memchr(connection->line, '\n', connection->length);
        if (end == NULL) break;
        unsigned used = (unsigned)(end - connection->line) + 1;
        *end = 0;
        each(context, connection, parse(connection->line));
        if (connection->fd < 0) return 0;
        connection->length -= used;
        memmove(connection->line, connection->line + used, connection->length);
    }
    return connection->length == sizeof connection->line ? -1 : 0;
}

void connection_send(struct connection *connection, const char *line) {
    size_t length = strlen(line);
    if (connection->fd < 0) return;
    int n = SYS(SYS_sendto, connection->fd, line, length, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
    if (n != (int)length) close_now(&connection->fd);
}

void connection_answer(struct connection *connection, int result, const char *step) {
    char line[64];
    struct text text = TEXT(line);
    if (result >= 0) {
        /* Dropped where the other side asks faster than it reads: closing would end what it asks about. */
        int n = connection->fd < 0 ? 0 : SYS(SYS_sendto, connection->fd, "ok\n", 3, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
        if (n < 0 && n != -EAGAIN) close_now(&connection->fd);
        return;
    }
    text_add(&text, "error ");
    text_number(&text, -result);
    text_add(&text, " ");
    text_add(&text, step);
    text_add(&text, "\n");
    connection_send(connection, line);
}

void connection_send_failure(struct connection *connection, const struct failure *failure) {
    char line[512];
    struct text text = TEXT(line);
    text_add(&text, "failed ");
    text_number(&text, failure->errnum);
    text_add(&text, " ");
    text_number(&text, failure->op);
    text_add(&text, " ");
    text_add(&text, failure->step);
    text_add(&text, " ");
    text_add(&text, failure->detail);
    text_add(&text, "\n");
    connection_send(connection, line);
}

static void add_numbers(struct text *text, const char *word, int first, int second) {
    text_add(text, word);
    text_number(text, first);
    text_add(text, " ");
    text_number(text, second);
}

void connection_send_running(struct connection *connection, int init, int command) {
    char line[64];
    struct text text = TEXT(line);
    add_numbers(&text, "running ", init, command);
    text_add(&text, "\n");
    connection_send(connection, line);
}

void connection_send_exit(struct connection *connection, int code, int signal, int oom_kills, const char *ended_by) {
    char line[64];
    struct text text = TEXT(line);
    add_numbers(&text, "exit ", code, signal);
    if (oom_kills > 0 || ended_by != NULL) {
        text_add(&text, " ");
        text_number(&text, oom_kills);
    }
    if (ended_by != NULL) {
        text_add(&text, " ");
        text_add(&text, ended_by);
    }
    text_add(&text, "\n");
    connection_send(connection, line);
}

void connection_hear_out(const struct connection *connection) {
    enum { TURNS = 16 };
    struct timespec bound = {0, 500000000};
    struct pollfd polled = {connection->fd, POLLIN, 0};
    char dropped[LINE_MAX_BYTES];
    for (int turn = 0; turn < TURNS && connection->fd >= 0; turn++) {
        if (SYS(SYS_ppoll, &polled, 1, &bound, NULL, 0) <= 0) return;
        if (SYS(SYS_recvfrom, connection->fd, dropped, sizeof dropped, MSG_DONTWAIT, NULL, NULL) <= 0) return;
    }
}
