/* Takes a bind mount of a namespace away, in this or another mount namespace: only while it still is the one that was meant. */
#include "error.h"
#include "nsfs.h"
#include "owned_fd.h"
#include "visitor.h"
#include "visitor_child.h"

#include <errno.h>
#include <fcntl.h>

static int visit(struct nsf_visitor *visitor, const char *path, const struct nsf_visit_namespace *wanted, struct nsf_error *error) {
    int result = nsf_visitor_find(visitor, path, wanted);
    if (result == 0)
        result = nsf_visitor_detach(visitor);
    return result < 0 ? nsf_fail(error, -result, nsf_visitor_doing(visitor), path) : 0;
}

int nsf_unmount(int32_t mount_namespace, const char *path, uint64_t id, uint64_t inode, struct nsf_left_child *left, struct nsf_error *error) {
    struct nsf_nsfs own;
    struct nsf_visitor visitor;
    NSF_OWNED_FD self = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    NSF_OWNED_FD proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self < 0 || proc < 0)
        return nsf_fail_errno(error, "open_proc", "/proc");
    int result = nsf_nsfs_identify(self, &own);
    if (result < 0)
        return nsf_fail(error, -result, "identify", "/proc/self/ns/mnt");
    /* All namespaces are files of the one nsfs. */
    const struct nsf_visit_namespace wanted = {.id = id, .inode = inode, .dev = own.dev};
    result = nsf_visitor_start(&visitor, left, mount_namespace, proc);
    if (result < 0)
        nsf_fail(error, -result, nsf_visitor_doing(&visitor), path);
    else
        result = visit(&visitor, path, &wanted, error);
    nsf_visitor_end(&visitor);
    return result;
}
