/* solvers.h as C++11, and solvers.hpp. */
#define main main_of_c
#include "header.c"
#undef main

#include <cmath>
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

/* Each kind of handle solves something. */
static bool solves()
{
    const int n = 20;
    const std::vector<double> b(n * n, 1.0);
    std::vector<double> x(n * n), z(n * n), coef(1);
    solvers::grid plane;
    plane.axes = 2, plane.shape[0] = plane.shape[1] = n;
    solvers::multilevel M(plane);
    M.apply(b, z);
    if (!M.solve(b, x).success() || !(z[0] > 0))
        return false;

    const std::vector<std::int32_t> starts = {0, 1, 2}, columns = {0, 1};
    const std::vector<double> diagonal = {2, 4}, right = {2, 8}, y = {1, 2, 3};
    std::vector<double> both(2);
    solvers::linear A(starts, columns, diagonal);
    solvers::linear moved = std::move(A);
    if (!moved.solve(right, both).success() || both[0] != 1 || both[1] != 2)
        return false;

    solvers::omega_tuner tuner, other;
    tuner.tell(tuner.ask(), 5);
    other.load(tuner.save());

    const std::vector<double> C = {0, 1, 1, 0};
    std::vector<double> plan(4), sums(2);
    std::vector<std::ptrdiff_t> targets(2);
    const solvers::transport matrix(C, 2, 2, 0.5), points(y, y, 1, SV_OT_SQEUCLIDEAN, 0.01);
    matrix.dense(plan);
    matrix.multiply(std::vector<double>(2, 1.0), sums);
    matrix.argmax(targets);
    if (!matrix.ended.success() || !points.ended.success() || std::abs(plan[0] + plan[1] - 0.5) > 1e-8
        || std::abs(sums[0] - 0.5) > 1e-8 || targets[1] != 1)
        return false;

    solvers::design X;
    X.n = 3, X.d = 1, X.X = y.data(), X.row_stride = 1, X.column_stride = 3;
    solvers::glm_penalty penalty;
    solvers::glm_result result;
    penalty.l1 = 0.001;
    return solvers::glm(X, y).solve(penalty, coef, result).success() && coef[0] > 0.99
           && other.ask().omega == tuner.ask().omega;
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
    return main_of_c() || !rows || !begun || !refuses(x, z, 2) || !refuses(x, y, 4) || !throws_its_words() || !solves();
}
