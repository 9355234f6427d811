#include "found.h"

#include "error.h"
#include "ns_link.h"
#include "nsfs.h"
#include "owned_fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define ROWS_MAX (1u << 24) /* keeps every size below in 32 bits of rows */

static uint64_t align8(uint64_t bytes) {
    return (bytes + 7) & ~(uint64_t)7;
}

uint64_t nsf_found_bytes(const struct nsf_room *room) {
    if (room->references == 0 || room->namespaces == 0 || room->references > ROWS_MAX || room->namespaces > ROWS_MAX)
        return UINT64_MAX;
    return align8(sizeof(struct nsf_found)) + room->references * (uint64_t)sizeof(struct nsf_reference) +
           room->namespaces * (uint64_t)sizeof(struct nsf_namespace) + align8(room->namespaces * sizeof(int32_t)) +
           align8(nsf_table_slots(room->namespaces) * sizeof(uint32_t)) + room->text_bytes;
}

/* As in a scan, which may run at the same time: a quarter of the descriptors. */
static uint32_t pin_limit(uint32_t share) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    uint64_t most = limit.rlim_cur / 4 / share;
    return most > ROWS_MAX ? ROWS_MAX : (uint32_t)most;
}

int nsf_finding_start(struct nsf_finding *finding, const struct nsf_room *room, void *buffer, uint64_t bytes, uint32_t share) {
    char *at = buffer;
    struct nsf_found *head = buffer;
    if (nsf_found_bytes(room) > bytes)
        return -EINVAL;
    memset(finding, 0, sizeof *finding);
    memset(head, 0, sizeof *head);
    head->size = sizeof *head;
    head->version = NSF_ABI;
    head->reference_bytes = sizeof(struct nsf_reference);
    head->namespace_bytes = sizeof(struct nsf_namespace);
    head->reference_offset = align8(sizeof *head);
    head->namespace_offset = head->reference_offset + room->references * (uint64_t)sizeof(struct nsf_reference);
    finding->head = head;
    finding->rows = (struct nsf_reference *)(void *)(at + head->reference_offset);
    finding->row_max = room->references;

    struct nsf_table *table = &finding->table;
    uint32_t slots = nsf_table_slots(room->namespaces);
    at += head->namespace_offset;
    table->rows = (struct nsf_namespace *)(void *)at;
    at += room->namespaces * sizeof(struct nsf_namespace);
    table->pins = (int32_t *)(void *)at;
    at += align8(room->namespaces * sizeof(int32_t));
    table->slots = (uint32_t *)(void *)at;
    at += align8(slots * sizeof(uint32_t));
    table->max = room->namespaces;
    table->mask = slots - 1;
    table->pin_max = pin_limit(share);
    memset(table->slots, 0, slots * sizeof *table->slots);

    finding->text = (uint8_t *)at;
    finding->text_max = room->text_bytes;
    head->text_offset = (uint64_t)(at - (char *)buffer);
    return 0;
}

/* Both count on when there is no room, so that the caller grows once. */
struct nsf_reference *nsf_finding_add(struct nsf_finding *finding, int kind, int32_t ns, const void *text, size_t bytes) {
    struct nsf_found *head = finding->head;
    head->reference_needed++;
    head->text_needed += (uint32_t)bytes;
    if (head->reference_needed > finding->row_max || head->text_needed > finding->text_max)
        return NULL;
    struct nsf_reference *row = &finding->rows[head->reference_count++];
    memset(row, 0, sizeof *row);
    row->kind = kind;
    row->ns = ns;
    row->fd = -1;
    row->mount_ns = -1;
    row->text = head->text_bytes;
    row->text_bytes = (uint32_t)bytes;
    if (bytes > 0)
        memcpy(finding->text + head->text_bytes, text, bytes);
    head->text_bytes += (uint32_t)bytes;
    return row;
}

int nsf_finding_end(struct nsf_finding *finding, int result, struct nsf_error *error) {
    struct nsf_found *head = finding->head;
    nsf_table_unpin(&finding->table);
    head->namespace_count = finding->table.count;
    head->unpinned = finding->table.unpinned;
    if (result == -ENOSPC) {
        head->namespace_needed = finding->table.max * 4; /* nobody knows; each try costs a search */
        return nsf_fail(error, ENOSPC, "namespace_rows", NULL);
    }
    if (result < 0)
        return result;
    if (head->reference_needed > finding->row_max || head->text_needed > finding->text_max)
        return nsf_fail(error, ENOSPC, "reference_rows", NULL);
    return 0;
}

void nsf_finding_hide(struct nsf_finding *finding, int reason, int errnum) {
    if (errnum == ENOENT || errnum == ESRCH)
        return;
    finding->head->hidden[reason + (errnum == EACCES ? 0 : errnum == EPERM ? 1 : 2)]++;
}

int nsf_is_fatal(int result) {
    return result == -ENOSPC || result == -EMFILE || result == -ENFILE || result == -ENOMEM;
}

int32_t nsf_finding_known(const struct nsf_finding *finding, const char *text, size_t bytes, int *type, uint64_t *inode) {
    *type = nsf_parse_ns_link(text, bytes, inode);
    if (*type < 0)
        return -EINVAL;
    int32_t row = nsf_table_find(&finding->table, *type, *inode);
    return row < 0 ? -ENOENT : row;
}

int32_t nsf_finding_resolve(struct nsf_finding *finding, int fd) {
    char path[64];
    /* Opened again only when it is seen to be a namespace: opening a fifo waits, and opening a device may do anything. */
    int type = nsf_nsfs_check(fd);
    if (type < 0)
        return type;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int opened = open(path, O_RDONLY | O_CLOEXEC | NSF_PIN_FLAGS);
    if (opened < 0)
        return -errno;
    type = nsf_nsfs_type(opened);
    if (type < 0) {
        close(opened);
        return type;
    }
    return nsf_table_resolve(&finding->table, type, opened);
}
