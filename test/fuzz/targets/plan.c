/* The shim's decoder of plans. What it takes keeps its promises: counts within limits, strings that end. */
#include "../../../native/plan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static struct plan plan;
    size_t sum;
    if (plan_decode(data, bytes, &plan) != 0)
        return 0;
    sum = strlen(plan.cwd);
    for (unsigned i = 0; i < plan.argc; i++)
        sum += strlen(plan.argv[i]);
    for (unsigned i = 0; i < plan.envc; i++)
        sum += strlen(plan.envp[i]);
    for (unsigned i = 0; i < plan.ops; i++)
        for (unsigned s = 0; s < plan.op[i].strings; s++)
            /* A filter's program may hold NUL; it too has one behind it. */
            if ((plan.op[i].op == OP_SECCOMP || plan.op[i].op == OP_SECCOMP_LOG) && s == 1 ? plan.op[i].string[s][plan.op[i].length[s]] != 0
                                                      : strlen(plan.op[i].string[s]) != plan.op[i].length[s])
                abort();
    if (plan.argv[plan.argc] || plan.envp[plan.envc] || plan.argc == 0 || sum > bytes)
        abort();
    return 0;
}
