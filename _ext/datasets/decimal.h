/* Decimal numbers to the nearest double, ties to even: short ones here, the others where the caller says.
 *
 * A number is w 10^e with w below 2^64 from its digits. Where w fits 53 bits and |e| <= 22, w and 10^|e| are doubles
 * and one operation rounds once. Where |e| <= 27, 5^|e| fits 64 bits: the product, or the quotient and whether something
 * is left of it, is formed in 128 bits as an integer and rounded once. That serves all that programs print of doubles
 * between about 1e-10 and 1e27, 17 digits included. More digits, other exponents, "nan" and "inf" are not `plain`.
 */
#ifndef SOLVERS_DECIMAL_H
#define SOLVERS_DECIMAL_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct decimal {
    uint64_t digits;
    int exponent;
    bool negative, plain;
};

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* What stands at text: [sign] digits [. digits] [e [sign] digits]; returns its end, text itself where there is none. */
static inline const char *read_decimal(const char *text, const char *end, struct decimal *number)
{
    enum { MOST_DIGITS = 19, MOST_EXPONENT = 9999 };
    const char *p = text;
    uint64_t w = 0;
    int exponent = 0;
    number->negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    const char *first = p;
    for (; p < end && is_digit(*p); p++)
        w = 10 * w + (uint64_t)(*p - '0');
    long count = p - first;
    if (p < end && *p == '.') {
        const char *point = ++p;
        for (; p < end && is_digit(*p); p++)
            w = 10 * w + (uint64_t)(*p - '0');
        exponent = (int)(point - p);
        count += p - point;
    }
    if (count == 0)
        return text;
    if (p < end && (*p == 'e' || *p == 'E')) {
        const char *q = p + 1;
        bool below = q < end && *q == '-';
        q += q < end && (*q == '-' || *q == '+');
        if (q < end && is_digit(*q)) {
            int power = 0;
            for (; q < end && is_digit(*q); q++)
                power = power < MOST_EXPONENT ? 10 * power + (*q - '0') : power;
            exponent += below ? -power : power;
            p = q;
        }
    }
    number->digits = w;
    number->exponent = exponent;
    number->plain = count <= MOST_DIGITS && (w == 0 || (exponent >= -27 && exponent <= 27));
    return p;
}

/* The double nearest to (whole + a little, where `rest`) 2^power; whole has at least 56 bits where rest is set. */
static inline double rounded(unsigned __int128 whole, bool rest, int power)
{
    uint64_t high = (uint64_t)(whole >> 64);
    int length = high ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll((uint64_t)whole);
    int drop = length - 56; /* 53 bits, one to round by, one more, and one that tells of all below */
    uint64_t kept = (uint64_t)whole;
    if (drop > 0) {
        rest |= (whole & (((unsigned __int128)1 << drop) - 1)) != 0;
        kept = (uint64_t)(whole >> drop);
        power += drop;
    }
    return ldexp((double)(kept | rest), power);
}

/* The value of a plain number. */
static inline double decimal_value(const struct decimal *number)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    uint64_t w = number->digits;
    int e = number->exponent, size = e < 0 ? -e : e;
    double value;
    if (w == 0)
        value = 0;
    else if (w <= (uint64_t)1 << 53 && size <= 22)
        value = e < 0 ? (double)w / tens[size] : (double)w * tens[size];
    else {
        uint64_t five = 1;
        for (int k = 0; k < size; k++)
            five *= 5;
        if (e >= 0)
            value = rounded((unsigned __int128)w * five, false, e);
        else {
            int shift = __builtin_clzll(w);
            unsigned __int128 top = (unsigned __int128)(w << shift) << 64;
            value = rounded(top / five, top % five != 0, e - shift - 64);
        }
    }
    return number->negative ? -value : value;
}

#endif
