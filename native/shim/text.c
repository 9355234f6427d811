#include "text.h"

static void add_byte(struct text *text, char byte) {
    if (text->length + 1 >= text->size) return;
    text->at[text->length++] = byte;
    text->at[text->length] = 0;
}

void text_add(struct text *text, const char *string) {
    for (; *string != 0; string++) add_byte(text, *string);
}

void text_add_safe(struct text *text, const char *string) {
    for (; *string != 0; string++) add_byte(text, (unsigned char)*string < 0x20 || *string == 0x7f ? '?' : *string);
}

static void add_digits(struct text *text, uint64_t number, unsigned base) {
    char digits[24];
    unsigned n = 0;
    do {
        digits[n++] = (char)('0' + number % base);
        number /= base;
    } while (number != 0);
    while (n > 0) add_byte(text, digits[--n]);
}

void text_number(struct text *text, int64_t number) {
    if (number < 0) add_byte(text, '-');
    add_digits(text, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 10);
}

void text_octal(struct text *text, unsigned number) {
    add_digits(text, number, 8);
}

int64_t text_parse_number(const char *string, int64_t limit) {
    int64_t number = 0;
    if (*string == 0) return -1;
    for (; *string != 0; string++) {
        if (*string < '0' || *string > '9') return -1;
        number = number * 10 + (*string - '0');
        if (number > limit) return -1;
    }
    return number;
}
