#include "mountinfo.h"
#include "mounts.h"

#include <string.h>

struct listing {
    struct nsf_mount_place *place;
    nsf_each_mount each;
};

static int is_nsfs(const struct nsf_mountinfo *line) {
    return line->type_bytes == sizeof "nsfs" - 1 && memcmp(line->type, "nsfs", sizeof "nsfs" - 1) == 0;
}

static int take_line(void *arg, const struct nsf_mountinfo *line) {
    const struct listing *listing = arg;
    if (line->point_bytes == 1 && line->point[0] == '/')
        listing->place->whole = 1;
    if (!is_nsfs(line))
        return 0;
    struct nsf_mount mount = {.id = line->id, .root = line->root, .root_bytes = line->root_bytes, .point = line->point};
    mount.point_bytes = nsf_unescape_mountinfo(line->point, line->point_bytes, line->point);
    line->point[mount.point_bytes] = 0;
    return listing->each(listing->place, &mount);
}

int nsf_list_mounts_of(struct nsf_mount_place *place, int dir, const char *path, nsf_each_mount each) {
    struct listing listing = {.place = place, .each = each};
    return nsf_read_mountinfo(dir, path, take_line, &listing);
}
