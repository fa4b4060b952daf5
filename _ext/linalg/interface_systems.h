/* The handle of a linear system in the C interface: the matrix, and the orders that it was made ready for. */
#ifndef SOLVERS_LINALG_INTERFACE_SYSTEMS_H
#define SOLVERS_LINALG_INTERFACE_SYSTEMS_H

#include "csr.h"
#include "grid.h"
#include "interface.h"
#include "orderings.h"
#include "precondition.h"
#include "sell.h"

/* Beside those of enum sv_ordering the layout of SSOR-CG on a uniform grid. */
enum { SV_SLANTED = SV_ORDERING_BLOCKS + 1, SV_ORDERINGS };

/* The matrix in one order. */
struct sv_order {
    struct sv_operand operand;
    size_t n;     /* unknowns of the user's */
    int natural;  /* vectors are the user's own */
    struct sv_csr csr;
    struct sv_sell sell;
    struct sv_grid grid;
    const struct sv_grid_layout *layout; /* of a grid; NULL else */
    int32_t *place; /* of unknowns in groups */
    struct sv_destinations to;
    double *stored, *diagonal, *inverse;
    double *vectors[3]; /* packed, for what keeps nothing between calls; NULL where vectors are the user's own */
    void *owned[5];
};

/* A grid's operator: along x, y, z. */
struct sv_box {
    ptrdiff_t n[3];
    int periodic[3], constant, uniform;
    double entry;                       /* of a uniform one: on the diagonal */
    double coupling[3], *rows;          /* of constant coefficients: see sv_grid_constant_rows */
    double *faces[3], *diagonal;        /* of others, in the user's order */
};

/* An incomplete Cholesky factor. */
struct sv_factor {
    int valid;
    struct sv_operand operand;
    struct sv_csr csr;
    double *values, *diagonal, *inverse;
};

struct sv_linear {
    struct sv_guard guard;
    size_t n, entries;
    size_t given;      /* entries that the user gives */
    int wide;          /* int64 indices */
    void *starts, *columns, *at; /* sorted rows without duplicates, and the places of the diagonal */
    int64_t *sources;  /* the entry that each of the user's adds to; NULL where they are the same */
    double *values, *diagonal, *inverse;
    struct sv_order *orders[SV_ORDERINGS]; /* by enum sv_ordering; that of short wavefronts is the natural one's */
    struct sv_box *box; /* of a grid, which has none of the arrays above; NULL else */
    struct sv_factor factor;
    int symmetric;     /* -1: not looked at yet */
    double omega;      /* of the last solve */
    double *room;      /* work of solves */
    size_t doubles;
};

/* Zeros from a cache line on; NULL where there is no memory, or the size overflows. */
void *sv_zeros(size_t count, size_t size);

/* A handle of that size with nothing in it; NULL where there is no memory. */
sv_linear *sv_linear_new(size_t n, size_t entries);
/* Lets go of all orders. */
void sv_linear_forget(sv_linear *A);

/* The order made, or found; ordering: as given to the call, where its own default is `otherwise`. */
int sv_linear_order(struct sv_linear *A, int ordering, int otherwise, struct sv_order **found);

/* The same in the layout that SSOR-CG has for it; by default the fastest with natural's result. */
int sv_linear_for_ssor_cg(struct sv_linear *A, int ordering, struct sv_order **found);
/* New values in an order that was made. */
void sv_order_update(const struct sv_linear *A, struct sv_order *order);
int sv_box_order(const struct sv_box *box, int ordering, struct sv_order *order);
void sv_box_destroy(struct sv_box *box);
void sv_order_destroy(struct sv_order *order);

/* A vector in the order, in `packed` where it is not the user's own; in `packed` in any case; and back. */
const double *sv_order_pack(const struct sv_order *order, const double *given, double *packed);
void sv_order_take(const struct sv_order *order, const double *given, double *packed);
void sv_order_unpack(const struct sv_order *order, const double *packed, double *out);

/* A's incomplete Cholesky factor, as the matrix whose SSOR with omega = 1 is the solve with it. */
int sv_linear_ic0(struct sv_linear *A, const struct sv_operand **operand);
void sv_factor_destroy(struct sv_factor *factor);

/* Whether A is symmetric as far as rounding lets one see, all entries looked at, once; or SV_NO_MEMORY. */
int sv_linear_symmetric(struct sv_linear *A);

#endif
