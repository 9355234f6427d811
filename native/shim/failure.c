#include "failure.h"

#include "text.h"

int fail(struct failure *failure, int errnum, int op, const char *step, const char *detail) {
    struct text name = TEXT(failure->step), rest = TEXT(failure->detail);
    failure->errnum = errnum < 0 ? -errnum : errnum;
    failure->op = op;
    failure->step[0] = failure->detail[0] = 0;
    text_add_safe(&name, step);
    text_add_safe(&rest, detail);
    return -failure->errnum;
}
