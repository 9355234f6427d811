/* A failure as it is told to the agent: `failed <errnum> <op> <step> <detail>`. */
#ifndef NSFLEET_SHIM_FAILURE_H
#define NSFLEET_SHIM_FAILURE_H

struct failure {
    int errnum; /* positive */
    int op;     /* index in the plan, or -1: before, between or after the operations */
    char step[32];
    char detail[256];
};

/* Fills failure and returns -errnum. errnum may be given negative. */
int fail(struct failure *failure, int errnum, int op, const char *step, const char *detail);

#endif
