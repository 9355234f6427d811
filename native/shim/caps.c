#include "caps.h"

#include "sys.h"

#include <linux/capability.h>
#include <sys/prctl.h>

#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif

int caps_set(unsigned long long mask) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{(uint32_t)mask, (uint32_t)mask, 0}, {(uint32_t)(mask >> 32), (uint32_t)(mask >> 32), 0}};
    return SYS(SYS_capset, &header, data);
}

int caps_forbid(void) {
    /* By what this kernel knows, not by what the headers knew: a drop is EINVAL just past cap_last_cap, and this works also where
     * /proc hides or fakes that file. */
    for (unsigned long cap = 0; cap < 64; cap++) {
        int result = SYS(SYS_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
        if (result == -EINVAL && cap > CAP_SETPCAP) break;
        if (result < 0) return result;
    }
    return SYS(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

int caps_keep_ids(void) {
    return caps_set(CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID));
}
