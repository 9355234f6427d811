/* Bounded text without stdio: what does not fit is cut, the end is always NUL. */
#ifndef NSFLEET_SHIM_TEXT_H
#define NSFLEET_SHIM_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
    char *at;
    size_t size, length; /* length < size */
};

#define TEXT(buffer) ((struct text){(buffer), sizeof(buffer), 0})

void text_add(struct text *text, const char *string);
void text_number(struct text *text, int64_t number);
void text_octal(struct text *text, unsigned number);

/* Adds a string from a plan or a path: control characters become '?', so that a line stays one line. */
void text_add_safe(struct text *text, const char *string);

/* Parses all of a decimal number without sign, at most limit. -1 if it is none. */
int64_t text_parse_number(const char *string, int64_t limit);

#endif
