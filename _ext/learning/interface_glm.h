/* The handle of the C interface to generalised linear models: checked samples, and room for a fit. */
#ifndef SOLVERS_LEARNING_INTERFACE_GLM_H
#define SOLVERS_LEARNING_INTERFACE_GLM_H

#include "../common/interface.h"
#include "coordinate_descent.h"

struct sv_glm {
    struct sv_guard guard;
    struct sv_fit fit;
    double *numbers, *columns; /* all that follow; a copy of X or of its values */
    int32_t *places, *starts;  /* and of where they are, starts and index in one */
    uint8_t *masks, *guess;
    double *y, *s, *norms, *l1, *l2, *low, *high;
    struct sv_fit_state state;
};

/* d numbers that are no NaN, on the right side of 0; NULL passes. */
int sv_glm_check_side(const double *x, size_t d, int side, const char *name);

#endif
