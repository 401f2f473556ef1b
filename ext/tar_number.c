/* tar_scan.h: the numbers and times of headers and PAX records. */
#include "tar_state.h"

/* The number between blanks and NULs; *tail* is set where bytes follow its own end. */
bool occy_tar_octal(const uint8_t *field, size_t size, int64_t *value, bool *tail)
{
    uint64_t number = 0;
    size_t digits;

    while (size != 0 && is_blank(field[0])) {
        field++;
        size--;
    }
    while (size != 0 && is_blank(field[size - 1]))
        size--;
    digits = size == 0 ? 0 : occy_tar_c_length(field, size);
    *tail = digits != size;
    for (size_t i = 0; i < digits; i++) {
        unsigned digit = field[i] - (unsigned)'0';

        if (digit > 7 || number >> 61 != 0)
            return false;
        number = number << 3 | digit;
    }
    *value = (int64_t)number;
    return true;
}

static bool base_256(const uint8_t *field, size_t size, int64_t *value)
{
    uint8_t inverted = field[0] & 0x40 ? 0xff : 0;
    uint64_t number = 0;

    for (size_t i = 0; i < size; i++) {
        uint8_t c = field[i] ^ inverted;

        if (i == 0)
            c &= 0x7f;
        if (number >> 56 != 0)
            return false;
        number = number << 8 | c;
    }
    if (number >> 63 != 0)
        return false;
    *value = inverted ? -1 - (int64_t)number : (int64_t)number;
    return true;
}

bool occy_tar_header_number(const uint8_t *field, size_t size, int64_t *value, bool *tail)
{
    *tail = false;
    if (size != 0 && field[0] & 0x80)
        return base_256(field, size, value);
    return occy_tar_octal(field, size, value, tail);
}

int occy_tar_number(const uint8_t *field, size_t size, int64_t *value)
{
    bool tail;

    return occy_tar_header_number(field, size, value, &tail);
}

int occy_tar_decimal(const uint8_t *text, size_t size, int64_t *value)
{
    bool negative = size != 0 && text[0] == '-';
    uint64_t number = 0, most = negative ? (uint64_t)1 << 63 : INT64_MAX;
    size_t i = size != 0 && (text[0] == '-' || text[0] == '+');

    if (i == size)
        return 0;
    for (; i < size; i++) {
        unsigned digit = text[i] - (unsigned)'0';

        if (digit > 9 || number > (most - digit) / 10)
            return 0;
        number = number * 10 + digit;
    }
    *value = (int64_t)(negative ? 0 - number : number);
    return 1;
}

int occy_tar_time(const uint8_t *text, size_t size, int64_t *seconds, int32_t *nanoseconds)
{
    const uint8_t *point = size == 0 ? NULL : memchr(text, '.', size);
    size_t whole = point == NULL ? size : (size_t)(point - text);
    int32_t fraction = 0;

    if (!occy_tar_decimal(text, whole, seconds))
        return 0;
    for (size_t i = whole + 1; i < size; i++)
        if (text[i] < '0' || text[i] > '9')
            return 0;
    for (size_t i = 1; i <= 9; i++)
        fraction = fraction * 10 + (whole + i < size ? text[whole + i] - '0' : 0);
    if (text[0] == '-' && fraction != 0) {
        *seconds = (int64_t)((uint64_t)*seconds - 1);
        fraction = 1000000000 - fraction;
    }
    *nanoseconds = fraction;
    return 1;
}
