/* Softmax of one row by the textbook's methods: what each instruction-set level fills in. */
#ifndef SOLVERS_TEXTBOOK_H
#define SOLVERS_TEXTBOOK_H

#include <stddef.h>

#define SV_TEXTBOOK_TABLE(name, real)                              \
    struct name {                                                  \
        void (*recompute)(const real *x, real *y, size_t n);       \
        void (*reload)(const real *x, real *y, size_t n);          \
        void (*online)(const real *x, real *y, size_t n);          \
    }

SV_TEXTBOOK_TABLE(textbook_f32, float);
SV_TEXTBOOK_TABLE(textbook_f64, double);

#endif
