/* solvers.h as C++11, and solvers.hpp. */
#define main main_of_c
#include "header.c"
#undef main

#include <vector>

#include "solvers.hpp"

static bool refuses(const std::vector<double> &x, std::vector<double> &y, size_t rows)
{
    try {
        solvers::softmax(x, y, rows);
    } catch (const std::invalid_argument &) {
        return true;
    }
    return false;
}

static bool throws_its_words()
{
    try {
        solvers::check(sv_softmax_f64(NULL, 3, NULL, 3, 1, 3, 1));
    } catch (const solvers::error &error) {
        return error.status() == SV_INVALID && std::string(error.what()) == "x is NULL";
    }
    return false;
}

int main()
{
    const std::vector<double> x = {1, 2, 3, 1, 2, 3};
    std::vector<double> y(6), z(5);
    solvers::softmax(x, y, 2);
    const bool rows = y[0] == y[3] && y[0] > 0.0900 && y[0] < 0.0901;
    const solvers::control control;
    const solvers::report report;
    const bool begun = control.struct_size == sizeof(sv_control) && control.max_iter == -1 && report.success();
    return main_of_c() || !rows || !begun || !refuses(x, z, 2) || !refuses(x, y, 4) || !throws_its_words();
}
