/* The records of `shim unpack`, done below / of a mount namespace that holds nothing else. */
#include "sys.h"
#include "unpack.h"

#include <string.h>
#include <sys/stat.h>

enum { BUFFER = 65536 };

struct timestamp {
    int64_t seconds, nanoseconds;
};

struct record {
    uint8_t type, flags;
    uint16_t path_length;
    uint32_t length, mode, uid, gid, nanoseconds;
    int64_t mtime;
    uint64_t size;
};

static struct tree {
    int data, plain;
    int root;
    int file;                             /* being written; or -1 */
    int parent;                           /* of the directory `parent_path`; or -1 */
    int (*opaque)(int directory);
    struct record of_file;                /* what the open file is to be */
    char parent_path[UNPACK_PATH_MAX + 1], path[UNPACK_PATH_MAX + 1], target[UNPACK_PATH_MAX + 1], last[UNPACK_PATH_MAX + 1];
    unsigned char buffer[BUFFER];
} tree; /* static: what is not used is never touched */

static const char *type_name(unsigned type) {
    switch (type) {
        case UNPACK_DIRECTORY: return "directory";
        case UNPACK_FILE: return "file";
        case UNPACK_DATA: return "data";
        case UNPACK_CLOSE: return "close";
        case UNPACK_SYMLINK: return "symlink";
        case UNPACK_HARDLINK: return "hardlink";
        case UNPACK_FIFO: return "fifo";
        case UNPACK_WHITEOUT: return "whiteout";
        case UNPACK_OPAQUE: return "opaque";
        case UNPACK_XATTR: return "xattr";
        case UNPACK_TIMES: return "times";
        case UNPACK_END: return "sync";
    }
    return "record";
}

static int read_all(void *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        int n = SYS(SYS_read, tree.data, (char *)bytes + done, size - done);
        if (n == -EINTR) continue;
        if (n <= 0) return n < 0 ? n : -EPIPE;
        done += (size_t)n;
    }
    return 0;
}

static uint64_t number(const unsigned char *at, unsigned size) {
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static int read_header(struct record *record) {
    unsigned char head[UNPACK_HEADER_BYTES];
    int result = read_all(head, sizeof head);
    if (result < 0) return result;
    record->type = head[0];
    record->flags = head[1];
    record->path_length = (uint16_t)number(head + 2, 2);
    record->length = (uint32_t)number(head + 4, 4);
    record->mode = (uint32_t)number(head + 8, 4);
    record->uid = (uint32_t)number(head + 12, 4);
    record->gid = (uint32_t)number(head + 16, 4);
    record->nanoseconds = (uint32_t)number(head + 20, 4);
    record->mtime = (int64_t)number(head + 24, 8);
    record->size = number(head + 32, 8);
    if (record->type == 0 || record->type > UNPACK_END || (record->flags & ~UNPACK_FLAGS) != 0 || record->mode > 07777) return -EBADMSG;
    if (record->path_length > UNPACK_PATH_MAX || record->length > UNPACK_PAYLOAD_MAX || record->nanoseconds > 999999999) return -EBADMSG;
    return (int64_t)record->size < 0 ? -EFBIG : 0;
}

/* Text of that length, of which none is a NUL. */
static int read_text(char *text, size_t length) {
    int result = read_all(text, length);
    text[length] = 0;
    return result < 0 ? result : strlen(text) == length ? 0 : -EBADMSG;
}

/* Parts that are names, with one slash between two. The parser has seen to it; this is the second look. */
static int is_clean(const char *path) {
    for (const char *part = path;; part++) {
        size_t length = 0;
        while (part[length] != 0 && part[length] != '/') length++;
        if (length == 0 || (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.')) return 0;
        part += length;
        if (*part == 0) return 1;
    }
}

/* Nothing in the tree leads out of it, whatever its symlinks say: / is all there is, and here they may not even try. */
static int open_in_tree(const char *path, int flags) {
    return sys_openat2(tree.root, *path == 0 ? "." : path, (uint64_t)flags, 0, SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_MAGICLINKS | SYS_RESOLVE_NO_XDEV);
}

static void forget_parent(void) {
    close_now(&tree.parent);
}

/* The directory of that path; the parents that an archive does not name are made. An O_PATH descriptor or -errno. */
static int open_or_make(char *path) {
    int fd = open_in_tree(path, O_PATH | O_DIRECTORY);
    if (fd != -ENOENT) return fd;
    char *slash = strrchr(path, '/');
    if (slash != NULL) *slash = 0;
    OWNED_FD above = slash == NULL ? open_in_tree("", O_PATH | O_DIRECTORY) : open_or_make(path);
    if (slash != NULL) *slash = '/';
    if (above < 0) return above;
    int result = SYS(SYS_mkdirat, above, slash == NULL ? path : slash + 1, 0755);
    return result < 0 ? result : open_in_tree(path, O_PATH | O_DIRECTORY);
}

/* O_PATH descriptor of the directory that holds path, not the caller's to close, and *name its last part. */
static int parent_of(const char *path, const char **name) {
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    *name = slash == NULL ? path : slash + 1;
    if (tree.parent >= 0 && tree.parent_path[length] == 0 && strncmp(tree.parent_path, path, length) == 0) return tree.parent;
    forget_parent();
    memcpy(tree.parent_path, path, length);
    tree.parent_path[length] = 0;
    return tree.parent = open_or_make(tree.parent_path);
}

static int give(int parent, const char *name, const struct record *record) {
    struct timestamp times[2] = {{record->mtime, record->nanoseconds}, {record->mtime, record->nanoseconds}};
    /* Ownership first: changing it takes setuid bits away. */
    int result = tree.plain ? 0 : SYS(SYS_fchownat, parent, name, record->uid, record->gid, SYS_SYMLINK_NOFOLLOW);
    if (result == 0 && record->type != UNPACK_SYMLINK) result = SYS(SYS_fchmodat, parent, name, record->mode);
    return result < 0 ? result : SYS(SYS_utimensat, parent, name, times, SYS_SYMLINK_NOFOLLOW);
}

/* A later entry of a name takes the place of an earlier one. 0: nothing is there (any more); 1: a directory is, and stays; 2: there was a
 * whiteout, so that a directory made now hides what lies below it. */
static int make_room(int parent, const char *name, int directory) {
    struct stat st;
    int result = SYS(SYS_newfstatat, parent, name, &st, SYS_SYMLINK_NOFOLLOW);
    if (result < 0) return result == -ENOENT ? 0 : result;
    if (S_ISDIR(st.st_mode) && directory) return 1;
    result = SYS(SYS_unlinkat, parent, name, S_ISDIR(st.st_mode) ? 0x200 /* AT_REMOVEDIR */ : 0);
    forget_parent(); /* what was remembered may have led through it */
    return result < 0 ? result : S_ISCHR(st.st_mode) ? 2 : 0;
}

/* make_room, with the parent anew. The parent or -errno. */
static int make_room_at(const char *path, const char **name, int directory, int *was) {
    int parent = parent_of(path, name);
    if (parent < 0) return parent;
    *was = make_room(parent, *name, directory);
    return *was < 0 ? *was : parent_of(path, name);
}

static int make_opaque(const char *path) {
    OWNED_FD directory = open_in_tree(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (directory < 0) return directory;
    return tree.plain ? SYS(SYS_fsetxattr, directory, "user.overlay.opaque", "y", 1, 0) : tree.opaque(directory);
}

static int do_directory(const struct record *record) {
    const char *name = ".";
    int was = 1, parent = tree.root;
    if (tree.path[0] != 0 && (parent = make_room_at(tree.path, &name, 1, &was)) < 0) return parent;
    int result = was == 1 ? 0 : SYS(SYS_mkdirat, parent, name, 0700);
    if (result == 0) result = give(parent, name, record);
    return result < 0 || was != 2 ? result : make_opaque(tree.path);
}

static int finish_file(void) {
    const char *name;
    int result = SYS(SYS_ftruncate, tree.file, tree.of_file.size);
    close_now(&tree.file);
    int parent = parent_of(tree.last, &name);
    if (result < 0 || parent < 0) return result < 0 ? result : parent;
    return give(parent, name, &tree.of_file);
}

static int write_payload(uint32_t length, uint64_t offset) {
    while (length > 0) {
        uint32_t part = length < BUFFER ? length : BUFFER;
        int result = read_all(tree.buffer, part);
        if (result < 0) return result;
        for (uint32_t done = 0; done < part;) {
            int n = SYS(SYS_pwrite64, tree.file, tree.buffer + done, part - done, offset + done);
            if (n <= 0) return n < 0 ? n : -EIO;
            done += (uint32_t)n;
        }
        offset += part;
        length -= part;
    }
    return 0;
}

static int do_file(const struct record *record) {
    const char *name;
    int was, parent = make_room_at(tree.path, &name, 0, &was);
    if (parent < 0) return parent;
    tree.file = SYS(SYS_openat, parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (tree.file < 0) return tree.file;
    tree.of_file = *record;
    int result = write_payload(record->length, 0);
    return result < 0 || (record->flags & UNPACK_MORE) != 0 ? result : finish_file();
}

static int do_hardlink(void) {
    const char *name, *slash = strrchr(tree.target, '/');
    int was, parent;
    if (!is_clean(tree.target)) return -EINVAL;
    if (strcmp(tree.target, tree.path) == 0) return 0;
    if ((parent = make_room_at(tree.path, &name, 0, &was)) < 0) return parent;
    size_t length = slash == NULL ? 0 : (size_t)(slash - tree.target);
    tree.target[length] = slash == NULL ? tree.target[0] : 0;
    OWNED_FD directory = open_in_tree(slash == NULL ? "" : tree.target, O_PATH | O_DIRECTORY);
    if (directory < 0) return directory;
    return SYS(SYS_linkat, directory, slash == NULL ? tree.target : slash + 1, parent, name, 0);
}

static int do_node(const struct record *record) {
    const char *name;
    int was, parent = make_room_at(tree.path, &name, 0, &was);
    if (parent < 0) return parent;
    int result = record->type == UNPACK_FIFO ? SYS(SYS_mknodat, parent, name, S_IFIFO | 0600, 0) : SYS(SYS_symlinkat, tree.target, parent, name);
    return result < 0 ? result : give(parent, name, record);
}

static int do_whiteout(void) {
    struct stat st;
    const char *name;
    int parent = parent_of(tree.path, &name);
    if (parent < 0) return parent;
    int result = SYS(SYS_newfstatat, parent, name, &st, SYS_SYMLINK_NOFOLLOW);
    if (result == -ENOENT) return SYS(SYS_mknodat, parent, name, S_IFCHR, 0);
    /* What this layer has itself stays, and is all there is. */
    return result < 0 || !S_ISDIR(st.st_mode) ? result : make_opaque(tree.path);
}

static int do_opaque(void) {
    OWNED_FD directory = open_or_make(tree.path);
    return directory < 0 ? directory : make_opaque(tree.path);
}

static int do_xattr(const struct record *record) {
    if (record->length > BUFFER) return -E2BIG;
    int result = read_all(tree.buffer, record->length);
    if (result < 0) return result;
    /* / is the tree. A file system without such attributes keeps the rest of the file all the same. */
    result = SYS(SYS_lsetxattr, tree.last[0] == 0 ? "." : tree.last, tree.path, tree.buffer, record->length, 0);
    return result == -EOPNOTSUPP ? 0 : result;
}

static int do_times(const struct record *record) {
    struct timestamp times[2] = {{record->mtime, record->nanoseconds}, {record->mtime, record->nanoseconds}};
    int result = SYS(SYS_utimensat, tree.root, tree.path[0] == 0 ? "." : tree.path, times, SYS_SYMLINK_NOFOLLOW);
    /* A later entry may have taken its place. */
    return result == -ENOENT || result == -ENOTDIR ? 0 : result;
}

static int do_record(const struct record *record) {
    int in_file = record->type == UNPACK_DATA || record->type == UNPACK_CLOSE;
    int result = read_text(tree.path, record->path_length);
    if (result < 0) return result;
    if (in_file != (tree.file >= 0)) return -EBADMSG;
    if (record->type == UNPACK_SYMLINK || record->type == UNPACK_HARDLINK) {
        if (record->length == 0 || record->length > UNPACK_PATH_MAX) return -EBADMSG;
        if ((result = read_text(tree.target, record->length)) < 0) return result;
    } else if (record->length > 0 && record->type != UNPACK_FILE && record->type != UNPACK_DATA && record->type != UNPACK_XATTR) {
        return -EBADMSG;
    }
    if (in_file) {
        if (record->type == UNPACK_DATA) return write_payload(record->length, record->size);
        tree.of_file.size = record->size;
        return finish_file();
    }
    if (record->type == UNPACK_XATTR) return do_xattr(record);
    int of_root = record->type == UNPACK_DIRECTORY || record->type == UNPACK_OPAQUE || record->type == UNPACK_TIMES;
    if (tree.path[0] == 0 ? !of_root : !is_clean(tree.path)) return -EINVAL;
    memcpy(tree.last, tree.path, record->path_length + 1u);
    switch (record->type) {
        case UNPACK_DIRECTORY: return do_directory(record);
        case UNPACK_FILE: return do_file(record);
        case UNPACK_HARDLINK: return do_hardlink();
        case UNPACK_SYMLINK:
        case UNPACK_FIFO: return do_node(record);
        case UNPACK_WHITEOUT: return do_whiteout();
        case UNPACK_OPAQUE: return do_opaque();
        default: return do_times(record);
    }
}

int unpack_tree(int data, int plain, int (*opaque)(int directory), struct failure *failure) {
    struct record record = {0};
    int result;
    tree.data = data;
    tree.plain = plain;
    tree.opaque = opaque;
    tree.file = tree.parent = -1;
    tree.root = SYS(SYS_openat, AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (tree.root < 0) return fail(failure, tree.root, -1, "root", "-");
    for (;;) {
        tree.path[0] = 0;
        if ((result = read_header(&record)) < 0) return fail(failure, result, -1, "record", "-");
        if (record.type == UNPACK_END) break;
        if ((result = do_record(&record)) < 0)
            return fail(failure, result, -1, type_name(record.type), tree.file >= 0 ? tree.last : tree.path[0] == 0 ? "-" : tree.path);
    }
    result = tree.file >= 0 ? -EBADMSG : SYS(SYS_syncfs, tree.root);
    return result < 0 ? fail(failure, result, -1, "sync", "-") : 0;
}
