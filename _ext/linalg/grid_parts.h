/* What the files of a grid's kernels have of one another, each of it once a level. A file of its own for each part keeps
 * the time to compile them short.
 */
#ifndef SOLVERS_LINALG_GRID_PARTS_H
#define SOLVERS_LINALG_GRID_PARTS_H

#include "grid_rows.h"

/* Steps of a prefix scheme over the lanes. */
enum { STEPS = SV_W == 8 ? 3 : SV_W == 4 ? 2 : SV_W == 2 ? 1 : 0 };

INLINE vreal moved(vreal v, vreal from, int k, int down) { return down ? v_down(v, from, k) : v_up(v, from, k); }

/* In all lanes, that from which what follows in a row goes on. */
INLINE vreal end_lane(vreal v, int down) { return down ? v_first_lane(v) : v_last_lane(v); }

/* grid_products.c: both layouts. */
double SV_TABLE(grid_multiply)(const struct sv_operand *A, const double *x, double *out);
double SV_TABLE(grid_residual)(const struct sv_operand *A, const double *b, const double *x, double *r);
double SV_TABLE(grid_jacobi)(const struct sv_operand *A, double omega, double momentum, const double *b,
                             const double *x, double *out);

/* grid_natural_sweeps.c, as operand.h has them; `measured` leaves the residual in d's variables: it is (K + L) d. */
void SV_TABLE(grid_natural_sweep)(const struct sv_operand *A, double omega, enum sv_direction direction,
                                  const double *b, double *x);
void SV_TABLE(grid_natural_measured)(const struct sv_operand *A, double omega, enum sv_direction direction,
                                     const double *b, double *x, double *d);

/* grid_natural_solves.c. */
void SV_TABLE(grid_natural_lower)(const struct sv_operand *A, double omega, const double *rhs, double *out);
void SV_TABLE(grid_natural_upper)(const struct sv_operand *A, double omega, const double *rhs, double *out);

/* grid_natural_ssor.c. */
double SV_TABLE(grid_natural_eisenstat)(const struct sv_operand *A, double omega, const double *v, const double *t,
                                        double *q, double *square);
double SV_TABLE(grid_natural_advance)(const struct sv_operand *A, double omega, double alpha, double beta,
                                      const struct sv_ssor_vectors *s);

double SV_TABLE(grid_natural_begin)(const struct sv_operand *A, double omega, const double *b, const double *x,
                                    double *r, double *v, double *rho);

/* grid_redblack_solves.c. */
void SV_TABLE(grid_redblack_lower)(const struct sv_operand *A, double omega, const double *rhs, double *out);
void SV_TABLE(grid_redblack_upper)(const struct sv_operand *A, double omega, const double *rhs, double *out);
double SV_TABLE(grid_redblack_eisenstat)(const struct sv_operand *A, double omega, const double *v, const double *t,
                                         double *q);

#endif
