/* `shim unpack`: makes a tree of files in the directory at STATE_FD, from records on descriptor 0. Who parses an archive decides what is made
 * (agent/image/); here it is made by a child in namespaces of its own, for which there is nothing but that directory.
 *
 * A record, little-endian:
 *   type u8 · flags u8 · path length u16 · payload length u32 · mode u32 · uid u32 · gid u32 · nanoseconds u32 · mtime i64 · size u64
 *   then the path (parts joined by '/', no empty one, no . and no ..; nothing: the directory itself) and the payload, without NULs behind them.
 * Told at the end: `exit 0 0` (all of it is on disk), or `failed <errno> -1 <type> <path>`. */
#ifndef NSFLEET_SHIM_UNPACK_H
#define NSFLEET_SHIM_UNPACK_H

#include "failure.h"

#include <stdint.h>

enum unpack_type {
    UNPACK_DIRECTORY = 1, /* one that is there is kept */
    UNPACK_FILE,          /* payload: its first bytes; size; UNPACK_MORE: DATA records and a CLOSE follow */
    UNPACK_DATA,          /* payload at offset `size` of that file */
    UNPACK_CLOSE,         /* that file is complete: its size */
    UNPACK_SYMLINK,       /* payload: where it leads to */
    UNPACK_HARDLINK,      /* payload: path of what it is a link to */
    UNPACK_FIFO,
    UNPACK_WHITEOUT,      /* overlayfs(5): hides what lower layers have there */
    UNPACK_OPAQUE,        /* hides what lower layers have in this directory */
    UNPACK_XATTR,         /* of the last file or directory; path: the attribute's name, payload: its value */
    UNPACK_TIMES,         /* of a directory, once all is in it */
    UNPACK_END
};
enum { UNPACK_MORE = 1, UNPACK_FLAGS = 1 };

enum { UNPACK_HEADER_BYTES = 40, UNPACK_PATH_MAX = 4095, UNPACK_PAYLOAD_MAX = 1 << 20 };

/* Reads records from data until the end and does them below /, the current directory. plain: as a plain user, with one id and no way to set
 * trusted attributes. opaque: sends the directory to who can. 0 or -errno with *failure filled. */
int unpack_tree(int data, int plain, int (*opaque)(int directory), struct failure *failure);

#endif
