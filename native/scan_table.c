#include "scan_table.h"

#include "nsfs.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

uint32_t nsf_table_slots(uint32_t max) {
    uint32_t slots = 16;
    while (slots < max * 2)
        slots *= 2;
    return slots;
}

/* Slot that holds (type, inode), or the free one where it belongs. */
static uint32_t slot_of(const struct nsf_table *table, int type, uint64_t inode) {
    /* Inode numbers come in runs: multiply (Fibonacci hashing) so that runs spread. */
    uint64_t hash = (inode * 8 + (uint64_t)type) * 0x9e3779b97f4a7c15u;
    uint32_t slot = (uint32_t)(hash >> 32) & table->mask;
    while (table->slots[slot] != 0) {
        const struct nsf_namespace *row = &table->rows[table->slots[slot] - 1];
        if (row->inode == inode && row->type == type)
            break;
        slot = (slot + 1) & table->mask;
    }
    return slot;
}

int32_t nsf_table_find(const struct nsf_table *table, int type, uint64_t inode) {
    return (int32_t)table->slots[slot_of(table, type, inode)] - 1;
}

/* An open descriptor keeps the namespace, and with it the inode number, from being freed and given away. */
static void pin(struct nsf_table *table, uint32_t index, int fd) {
    if (table->pinned < table->pin_max) {
        table->pins[index] = fd;
        table->pinned++;
    } else {
        table->pins[index] = -1;
        table->unpinned++;
    }
}

static int32_t add(struct nsf_table *table, int type, const struct nsf_nsfs *about, int fd) {
    if (table->count == table->max)
        return -ENOSPC;
    uint32_t index = table->count++;
    struct nsf_namespace *row = &table->rows[index];
    memset(row, 0, sizeof *row);
    row->type = type;
    row->id = about->id;
    row->inode = about->inode;
    row->dev = about->dev;
    row->owner_uid = type == NSF_USER ? nsf_nsfs_owner_uid(fd) : -1;
    row->parent = -1;
    row->owner = -1;
    pin(table, index, fd);
    table->slots[slot_of(table, type, about->inode)] = index + 1;
    return (int32_t)index;
}

/* OTHER is a descriptor or -errno, from the nsfs ioctls. */
static int link_other(struct nsf_table *table, int type, int other, int32_t *row) {
    if (other == -EPERM)
        return 0;
    if (other < 0)
        return other;
    int32_t index = nsf_table_resolve(table, type, other);
    if (index < 0)
        return index;
    *row = index;
    return 0;
}

/* Recursion ends: the kernel nests user and pid namespaces at most 32 deep. */
static int describe(struct nsf_table *table, int type, int fd, int32_t index) {
    struct nsf_namespace *row = &table->rows[index];
    if (type == NSF_PID) {
        int result = link_other(table, NSF_PID, nsf_nsfs_parent(fd), &row->parent);
        if (result < 0)
            return result;
    }
    int result = link_other(table, NSF_USER, nsf_nsfs_owner(fd), &row->owner);
    if (result < 0)
        return result;
    /* A user namespace is owned by its parent (kernel/user_namespace.c, userns_owner). */
    if (type == NSF_USER)
        row->parent = row->owner;
    return 0;
}

/* FD has the number of a row that is remembered: it is that namespace, or the number has passed on. */
static int confirm(struct nsf_table *table, int32_t index, int fd) {
    if (nsf_nsfs_id(fd) != table->rows[index].id)
        return -ESTALE;
    (void)fcntl(fd, F_SETFL, NSF_PIN_FLAGS);
    pin(table, (uint32_t)index, fd);
    return 0;
}

int32_t nsf_table_resolve(struct nsf_table *table, int type, int fd) {
    struct nsf_nsfs about;
    int result = nsf_nsfs_inode(fd, &about);
    if (result < 0) {
        close(fd);
        return result;
    }
    /* Nearly every parent and owner is known: nothing more is asked of those. */
    int32_t index = nsf_table_find(table, type, about.inode);
    if (index >= 0) {
        if (table->pins[index] == NSF_REMEMBERED)
            result = confirm(table, index, fd);
        if (table->pins[index] != fd)
            close(fd);
        return result < 0 ? result : index;
    }
    (void)fcntl(fd, F_SETFL, NSF_PIN_FLAGS);
    about.id = nsf_nsfs_id(fd);
    index = add(table, type, &about, fd);
    if (index < 0) {
        close(fd);
        return index;
    }
    result = describe(table, type, fd, index);
    if (table->pins[index] != fd)
        close(fd);
    return result < 0 ? result : index;
}

int32_t nsf_table_remember(struct nsf_table *table, const struct nsf_namespace *others, int32_t other) {
    const struct nsf_namespace *from = &others[other];
    int32_t known = nsf_table_find(table, from->type, from->inode);
    if (known >= 0)
        return table->rows[known].id == from->id ? known : -ESTALE;
    if (table->count == table->max)
        return -ENOSPC;
    uint32_t index = table->count++;
    struct nsf_namespace *row = &table->rows[index];
    *row = *from;
    row->process_count = 0;
    row->leader_pid = 0;
    row->leader_start_ticks = 0;
    row->parent = -1;
    row->owner = -1;
    table->pins[index] = NSF_REMEMBERED;
    table->slots[slot_of(table, row->type, row->inode)] = index + 1;
    /* Recursion ends as in describe(): OTHERS were described by it. */
    if (from->parent >= 0 && (row->parent = nsf_table_remember(table, others, from->parent)) < 0)
        return row->parent;
    if (from->owner >= 0 && (row->owner = nsf_table_remember(table, others, from->owner)) < 0)
        return row->owner;
    return (int32_t)index;
}

int32_t nsf_table_note(struct nsf_table *table, int type, uint64_t inode) {
    if (table->count == table->max)
        return -ENOSPC;
    uint32_t index = table->count++;
    struct nsf_namespace *row = &table->rows[index];
    memset(row, 0, sizeof *row);
    row->type = type;
    row->inode = inode;
    row->owner_uid = -1;
    row->parent = -1;
    row->owner = -1;
    table->pins[index] = -1;
    table->unpinned++;
    table->slots[slot_of(table, type, inode)] = index + 1;
    return (int32_t)index;
}

void nsf_table_truncate(struct nsf_table *table, uint32_t count) {
    /* Newest first: whatever a freed slot had pushed aside is newer, so already gone. */
    while (table->count > count) {
        uint32_t index = --table->count;
        const struct nsf_namespace *row = &table->rows[index];
        table->slots[slot_of(table, row->type, row->inode)] = 0;
        if (table->pins[index] >= 0) {
            close(table->pins[index]);
            table->pinned--;
        } else if (table->pins[index] != NSF_REMEMBERED) {
            table->unpinned--;
        }
    }
}

void nsf_table_unpin(struct nsf_table *table) {
    for (uint32_t index = 0; index < table->count; index++)
        if (table->pins[index] >= 0)
            close(table->pins[index]);
}

void nsf_count_members(struct nsf_namespace *rows, const struct nsf_process *process) {
    for (int link = 0; link < NSF_TYPES; link++) {
        if (process->ns[link] < 0)
            continue;
        struct nsf_namespace *space = &rows[process->ns[link]];
        space->process_count++;
        if (space->leader_pid == 0 || process->pid < space->leader_pid) {
            space->leader_pid = process->pid;
            space->leader_start_ticks = process->start_ticks;
        }
    }
}
