/* The 2-D Poisson problem by conjugate gradients with SSOR; then steps of the heat equation, for which a tuner learns
 * the relaxation parameter omega from the iterations that each step took. See poisson.c.
 *
 *     eval c++ -std=c++11 poisson.cpp -o poisson $(pkg-config --cflags --libs solvers)
 */
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <vector>

#include <solvers.hpp>

using vector = std::vector<double>;

/* shift I + scale L on side^2 unknowns, L the five-point Laplacian with zeros around; columns rise in each row. */
static solvers::linear five_points(int side, double shift, double scale)
{
    std::vector<std::int32_t> starts = {0}, columns;
    vector values;
    const auto put = [&](bool there, int column, double value) {
        if (there) {
            columns.push_back(column);
            values.push_back(value);
        }
    };
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            const int row = i * side + j;
            put(i > 0, row - side, -scale);
            put(j > 0, row - 1, -scale);
            put(true, row, shift + 4 * scale);
            put(j < side - 1, row + 1, -scale);
            put(i < side - 1, row + side, -scale);
            starts.push_back(static_cast<std::int32_t>(columns.size()));
        }
    return solvers::linear(starts, columns, values);
}

/* One number that differs where any bit of the answer does. */
static std::uint64_t digest(const vector &x)
{
    std::uint64_t all = 0, bits;
    for (const double number : x) {
        std::memcpy(&bits, &number, sizeof bits);
        all = (all << 7 | all >> 57) ^ bits;
    }
    return all;
}

static void poisson(const solvers::control &control)
{
    const int side = 256;
    const vector b(side * side, 1.0);
    vector x(side * side, 0.0);
    const solvers::report report = five_points(side, 0, 1).solve(b, x, {}, control);
    std::printf("poisson: status %d after %d iterations, bits %016" PRIX64 "\n", report.status,
                static_cast<int>(report.nit), digest(x));
}

/* Implicit Euler: (I + 16 L) u_new = u. */
static void heat(const solvers::control &control)
{
    const int side = 64, steps = 40;
    const solvers::linear A = five_points(side, 1, 16);
    solvers::omega_tuner tuner;
    solvers::linear_options options;
    vector u;
    std::int64_t iterations = 0;

    for (int y = 1; y <= side; y++)
        for (int x = 1; x <= side; x++)
            u.push_back(double(y * (side + 1 - y) * x * (side + 1 - x)) / (1 << 20));
    for (int step = 0; step < steps; step++) {
        const vector b = u;
        const solvers::omega_question question = tuner.ask();
        options.omega = question.omega;
        const solvers::report report = A.solve(b, u, options, control);
        tuner.tell(question, double(report.nit));
        iterations += report.nit;
    }
    std::printf("heat: %d steps, %d iterations, bits %016" PRIX64 "\n", steps, static_cast<int>(iterations), digest(u));
}

int main()
{
    solvers::control control;
    control.threads = 1;
    std::printf("solvers %s, level %s\n", sv_version_string(), sv_isa());
    try {
        poisson(control);
        heat(control);
    } catch (const solvers::error &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
