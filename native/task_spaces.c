#include "task_spaces.h"

#include <string.h>

static uint32_t slot_of(const struct nsf_spaces *spaces, uint64_t key) {
    /* Ids are counted: multiply (Fibonacci hashing) so that runs spread. */
    uint32_t slot = (uint32_t)((key * 0x9e3779b97f4a7c15u) >> 32) & spaces->mask;
    while (spaces->slots[slot] != 0 && spaces->keys[spaces->slots[slot] - 1].key != key)
        slot = (slot + 1) & spaces->mask;
    return slot;
}

int32_t nsf_spaces_find(const struct nsf_spaces *spaces, uint64_t key) {
    return key == 0 ? -1 : (int32_t)spaces->slots[slot_of(spaces, key)] - 1;
}

void nsf_spaces_add(struct nsf_spaces *spaces, const struct nsf_namespace_record *record) {
    if (record->key == 0 || record->type >= NSF_TYPES)
        return;
    uint32_t slot = slot_of(spaces, record->key);
    if (spaces->slots[slot] != 0)
        return;
    if (spaces->count == spaces->max) {
        spaces->left_out++;
        return;
    }
    uint32_t index = spaces->count++;
    struct nsf_namespace *row = &spaces->rows[index];
    memset(row, 0, sizeof *row);
    row->id = record->id;
    row->inode = record->inode;
    row->dev = spaces->dev;
    row->owner_uid = record->type == NSF_USER ? (int64_t)record->owner_uid : -1;
    row->type = (int32_t)record->type;
    spaces->keys[index] = (struct nsf_space_keys){record->key, record->owner_key, record->parent_key};
    spaces->slots[slot] = index + 1;
}

void nsf_spaces_link(struct nsf_spaces *spaces) {
    for (uint32_t index = 0; index < spaces->count; index++) {
        spaces->rows[index].owner = nsf_spaces_find(spaces, spaces->keys[index].owner);
        spaces->rows[index].parent = nsf_spaces_find(spaces, spaces->keys[index].parent);
    }
}
