/* solvers.h alone, in strict C99 and as C++11: it compiles without a warning, and every function links that is
 * exported. */
#include "solvers.h"

#include <stdio.h>

#include "functions.h"

static const function functions[] = {FUNCTIONS};

int main(void)
{
    const double x[3] = {1, 2, 3};
    const float x32[3] = {1, 2, 3};
    double y[3], sign[1];
    float y32[3], sign32[1];

    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++)
        if (!functions[k])
            return 1;
    sv_set_num_threads(sv_get_num_threads());
    sv_softmax_f64(x, 3, y, 3, 1, 3, 1);
    sv_log_softmax_f64(x, 3, y, 3, 1, 3, 1);
    sv_logsumexp_f64(x, 3, NULL, 0, y, sign, 1, 3, 1);
    sv_softmax_f32(x32, 3, y32, 3, 1, 3, 1);
    sv_log_softmax_f32(x32, 3, y32, 3, 1, 3, 1);
    sv_logsumexp_f32(x32, 3, NULL, 0, y32, sign32, 1, 3, 1);
    printf("solvers %s, level %s of %s, sanitizer %s: %.17g %.9g\n", sv_version_string(), sv_isa(),
           sv_isa_available(), sv_sanitizer(), y[0], (double)y32[0]);
    return y[0] > 3.4076 && y[0] < 3.4077 && sign[0] == 1 && sign32[0] == 1 ? 0 : 1;
}
