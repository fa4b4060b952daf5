/* Passes over the matrix of a handle, one at a time, for hosts that keep their own loops. */
#include <math.h>
#include <string.h>

#include "interface_systems.h"

static int check_omega(double omega)
{
    return omega > 0 && omega < 2 ? SV_OK : sv_fail(SV_INVALID, "omega must lie between 0 and 2, not %g", omega);
}

/* The handle entered, and its order with the threads of this call. */
static int entered(sv_linear *A, int ordering, int threads, struct sv_order **order)
{
    int status = sv_enter(&A->guard);
    if (status)
        return status;
    status = sv_linear_order(A, ordering, SV_ORDERING_NATURAL, order);
    if (status)
        sv_leave(&A->guard);
    else
        (*order)->operand.threads = threads > 0 ? threads : sv_get_num_threads();
    return status;
}

int sv_linear_multiply(sv_linear *A, const double *x, double *out, int threads)
{
    struct sv_order *order;
    SV_NEED(A);
    SV_NEED(x);
    SV_NEED(out);
    int status = A->n ? entered(A, SV_ORDERING_NATURAL, threads, &order) : SV_OK;
    if (status || !A->n)
        return status;
    const double *packed = sv_order_pack(order, x, order->vectors[0]);
    double *product = order->natural ? out : order->vectors[1];
    order->operand.does->multiply(&order->operand, packed, product);
    sv_order_unpack(order, product, out);
    sv_leave(&A->guard);
    return SV_OK;
}

int sv_linear_residual(sv_linear *A, const double *b, const double *x, double *r, double *norm, int threads)
{
    struct sv_order *order;
    SV_NEED(A);
    SV_NEED(b);
    SV_NEED(x);
    SV_NEED(r);
    int status = A->n ? entered(A, SV_ORDERING_NATURAL, threads, &order) : SV_OK;
    if (status)
        return status;
    double square = 0;
    if (A->n) {
        const double *right = sv_order_pack(order, b, order->vectors[0]);
        const double *iterate = sv_order_pack(order, x, order->vectors[1]);
        double *left = order->natural ? r : order->vectors[2];
        square = order->operand.does->residual(&order->operand, right, iterate, left);
        sv_order_unpack(order, left, r);
        sv_leave(&A->guard);
    }
    if (norm)
        *norm = sqrt(square);
    return SV_OK;
}

int sv_linear_sweep(sv_linear *A, int ordering, int direction, double omega, int sweeps, const double *b, double *x,
                    int threads)
{
    struct sv_order *order;
    SV_NEED(A);
    SV_NEED(b);
    SV_NEED(x);
    if (direction < SV_FORWARD_SWEEP || direction > SV_SYMMETRIC_SWEEP)
        return sv_fail(SV_INVALID, "direction is %d, no enum sv_sweep_direction", direction);
    if (sweeps < 0)
        return sv_fail(SV_INVALID, "sweeps is %d, below 0", sweeps);
    int status = check_omega(omega);
    if (!status && A->n)
        status = entered(A, ordering, threads, &order);
    if (status || !A->n)
        return status;
    const struct sv_operand *operand = &order->operand;
    const double *right = sv_order_pack(order, b, order->vectors[0]);
    double *iterate = order->natural ? x : (double *)sv_order_pack(order, x, order->vectors[1]);
    if (operand->does->sweeps && direction != SV_SYMMETRIC_SWEEP) {
        operand->does->sweeps(operand, omega, direction == SV_FORWARD_SWEEP ? SV_FORWARD : SV_BACKWARD, right, iterate,
                              sweeps);
        sweeps = 0;
    }
    for (int sweep = 0; sweep < sweeps; sweep++) {
        if (direction != SV_BACKWARD_SWEEP)
            operand->does->sweep(operand, omega, SV_FORWARD, right, iterate);
        if (direction != SV_FORWARD_SWEEP)
            operand->does->sweep(operand, omega, SV_BACKWARD, right, iterate);
    }
    sv_order_unpack(order, iterate, x);
    sv_leave(&A->guard);
    return SV_OK;
}

int sv_linear_precondition(sv_linear *A, int ordering, double omega, int sweeps, const double *r, double *z,
                           int threads)
{
    struct sv_order *order;
    SV_NEED(A);
    SV_NEED(r);
    SV_NEED(z);
    if (sweeps < 1)
        return sv_fail(SV_INVALID, "sweeps is %d, below 1", sweeps);
    int status = check_omega(omega);
    if (!status && A->n)
        status = entered(A, ordering, threads, &order);
    if (status || !A->n)
        return status;
    struct sv_preconditioner M = {.A = &order->operand, .omega = omega, .sweeps = sweeps};
    const double *right = sv_order_pack(order, r, order->vectors[0]);
    double *out = order->natural ? z : order->vectors[1];
    if (!order->natural) /* what pads the rows multiplies it by zero: not to be NaN */
        memset(out, 0, order->operand.n * sizeof *out);
    sv_ssor_apply(&M, right, out);
    sv_order_unpack(order, out, z);
    sv_leave(&A->guard);
    return SV_OK;
}
