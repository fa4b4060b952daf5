/* For drivers, which are compiled once per float width: the type, and the names that end in it. */
#ifndef SOLVERS_WIDTH_H
#define SOLVERS_WIDTH_H

#if SV_REAL == 32
typedef float real;
#define NAME(stem) stem##_f32
#else
typedef double real;
#define NAME(stem) stem##_f64
#endif

#endif
