#include "caps.h"

#include "sys.h"

#include <linux/capability.h>
#include <sys/prctl.h>

#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_RAISE 2
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif

static int set(uint64_t mask, uint64_t inheritable) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{(uint32_t)mask, (uint32_t)mask, (uint32_t)inheritable},
                                             {(uint32_t)(mask >> 32), (uint32_t)(mask >> 32), (uint32_t)(inheritable >> 32)}};
    return SYS(SYS_capset, &header, data);
}

int caps_set(uint64_t mask) {
    return set(mask, 0);
}

int caps_give(uint64_t mask, int ambient) {
    int result = set(mask, ambient ? mask : 0);
    for (unsigned long cap = 0; cap < 64 && ambient && result >= 0; cap++)
        if ((mask >> cap & 1) != 0) result = SYS(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
    return result;
}

int caps_forbid(uint64_t keep) {
    /* By what this kernel knows, not by what the headers knew: a drop is EINVAL just past cap_last_cap, and this works also where
     * /proc hides or fakes that file. */
    for (unsigned long cap = 0; cap < 64; cap++) {
        int result = (keep >> cap & 1) != 0 ? SYS(SYS_prctl, PR_CAPBSET_READ, cap, 0, 0, 0) : SYS(SYS_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
        /* One that is to be kept and that nobody here has, or knows, cannot be given. */
        if ((keep >> cap & 1) != 0 && result != 1) return result < 0 ? result : -EPERM;
        if (result == -EINVAL && cap > CAP_SETPCAP && keep >> cap == 0) break;
        if (result < 0) return result;
    }
    return SYS(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}
