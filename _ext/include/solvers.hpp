/* solvers.hpp - the C interface in C++11: spans that know their sizes, handles that destroy themselves, exceptions.
 *
 * Header only. A call that is refused (a negative status) throws solvers::error; how a solve ended, good or not, is in
 * the report that it returns. The C functions may be mixed in freely: every handle gives its pointer by get().
 */
#ifndef SOLVERS_HPP
#define SOLVERS_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "solvers.h"

namespace solvers {

/* A call that was refused: the status, and the words of sv_last_error(). */
class error : public std::runtime_error {
  public:
    explicit error(int status) : std::runtime_error(words(status)), status_(status) {}
    int status() const noexcept { return status_; }

  private:
    static std::string words(int status)
    {
        const std::string detail = sv_last_error();
        return detail.empty() ? sv_status_string(status) : detail;
    }
    int status_;
};

/* Passes a status on; throws where the call was refused. */
inline int check(int status)
{
    if (status < 0)
        throw error(status);
    return status;
}

/* Contiguous elements of someone else's: of a vector, of an array, or a pointer and a size. */
template <class T>
class span {
  public:
    span() noexcept : data_(nullptr), size_(0) {}
    span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <std::size_t N>
    span(T (&array)[N]) noexcept : data_(array), size_(N) {}
    template <class Container,
              class = decltype(static_cast<T *>(std::declval<Container &>().data()), std::declval<Container &>().size())>
    span(Container &&container) noexcept : data_(container.data()), size_(container.size()) {}

    T *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    T &operator[](std::size_t i) const noexcept { return data_[i]; }
    T *begin() const noexcept { return data_; }
    T *end() const noexcept { return data_ + size_; }

  private:
    T *data_;
    std::size_t size_;
};

/* Throws where the two are of different size. */
inline void same_size(std::size_t size, std::size_t other, const char *what)
{
    if (size != other)
        throw std::invalid_argument(std::string(what) + ": sizes differ: " + std::to_string(size) + " and "
                                    + std::to_string(other));
}

/* Limits of a solve, as sv_control. */
struct control : sv_control {
    control() : sv_control(SV_CONTROL_INIT) {}
};

/* How a solve ended, as sv_report. */
struct report : sv_report {
    report() : sv_report(SV_REPORT_INIT) {}
    bool success() const noexcept { return status == SV_CONVERGED; }
    const char *message() const noexcept { return sv_status_string(status); }
};

/* Owns what a C handle points to; moves, does not copy. */
template <class T, void (*destroy)(T *)>
class handle {
  public:
    T *get() const noexcept { return made_.get(); }

  protected:
    explicit handle(T *made) noexcept : made_(made) {}

  private:
    struct destroyer {
        void operator()(T *made) const noexcept { destroy(made); }
    };
    std::unique_ptr<T, destroyer> made_;
};

/* ---- special: softmax and its logarithm ---------------------------------------------------- */

/* Of `rows` rows of equal length that follow one another. y may be x. */
inline void softmax(span<const double> x, span<double> y, std::size_t rows = 1, int threads = 0)
{
    const std::size_t length = rows ? x.size() / rows : 0;
    same_size(x.size(), y.size(), "softmax");
    same_size(x.size(), rows * length, "softmax: rows");
    check(sv_softmax_f64(x.data(), std::ptrdiff_t(length), y.data(), std::ptrdiff_t(length), rows, length, threads));
}

inline void log_softmax(span<const double> x, span<double> y, std::size_t rows = 1, int threads = 0)
{
    const std::size_t length = rows ? x.size() / rows : 0;
    same_size(x.size(), y.size(), "log_softmax");
    same_size(x.size(), rows * length, "log_softmax: rows");
    check(sv_log_softmax_f64(x.data(), std::ptrdiff_t(length), y.data(), std::ptrdiff_t(length), rows, length,
                             threads));
}

inline double logsumexp(span<const double> x, int threads = 0)
{
    double value = 0;
    check(sv_logsumexp_f64(x.data(), 0, nullptr, 0, &value, nullptr, 1, x.size(), threads));
    return value;
}

/* ---- linalg: linear systems with a sparse matrix ------------------------------------------- */

struct linear_options : sv_linear_options {
    linear_options() : sv_linear_options(SV_LINEAR_OPTIONS_INIT) {}
};

/* A sparse matrix made ready for solves. Its arrays are copied. */
class linear : public handle<sv_linear, sv_linear_destroy> {
  public:
    linear(span<const std::int32_t> starts, span<const std::int32_t> columns, span<const double> values)
        : handle(made(starts, columns, values, sv_linear_from_csr_i32))
    {
    }
    linear(span<const std::int64_t> starts, span<const std::int64_t> columns, span<const double> values)
        : handle(made(starts, columns, values, sv_linear_from_csr_i64))
    {
    }

    std::size_t size() const noexcept { return sv_linear_size(get()); }

    /* Other values in the same places. */
    void update(span<const double> values) { check(sv_linear_update(get(), values.data())); }

    /* Solves A x = b; x: where to start, and the answer. */
    report solve(span<const double> b, span<double> x, const linear_options &options = linear_options(),
                 const control &limits = control()) const
    {
        report found;
        same_size(b.size(), size(), "b");
        same_size(x.size(), size(), "x");
        check(sv_linear_solve(get(), b.data(), x.data(), &options, &limits, &found));
        return found;
    }

    /* out = A x. */
    void multiply(span<const double> x, span<double> out, int threads = 0) const
    {
        same_size(x.size(), size(), "x");
        same_size(out.size(), size(), "out");
        check(sv_linear_multiply(get(), x.data(), out.data(), threads));
    }

  private:
    template <class Index, class Create>
    static sv_linear *made(span<const Index> starts, span<const Index> columns, span<const double> values,
                           Create create)
    {
        sv_linear *A = nullptr;
        same_size(columns.size(), values.size(), "columns and values");
        if (starts.size() == 0)
            throw std::invalid_argument("starts: empty");
        check(create(starts.size() - 1, values.size(), starts.data(), columns.data(), values.data(), &A));
        return A;
    }
};

/* ---- linalg: tuners of omega --------------------------------------------------------------- */

struct omega_options : sv_omega_options {
    omega_options() : sv_omega_options(SV_OMEGA_OPTIONS_INIT) {}
};

struct omega_question {
    double omega;
    std::int64_t id;
};

/* Chooses omega before each solve of a sequence, and learns from the costs it is told. */
class omega_tuner : public handle<sv_omega_tuner, sv_omega_tuner_destroy> {
  public:
    explicit omega_tuner(const omega_options &options = omega_options()) : handle(made(options)) {}

    omega_question ask(double context = 0)
    {
        omega_question asked;
        check(sv_omega_tuner_ask(get(), context, &asked.omega, &asked.id));
        return asked;
    }
    void tell(const omega_question &asked, double cost) { check(sv_omega_tuner_tell(get(), asked.id, cost)); }

    double best(double context = 0)
    {
        double omega;
        check(sv_omega_tuner_best(get(), context, &omega));
        return omega;
    }

    /* All that it knows, as JSON. */
    std::string save() const
    {
        std::size_t length = 0;
        check(sv_omega_tuner_save(get(), nullptr, 0, &length));
        std::string text(length + 1, '\0');
        check(sv_omega_tuner_save(get(), &text[0], text.size(), &length));
        text.resize(length);
        return text;
    }
    void load(const std::string &text) { check(sv_omega_tuner_load(get(), text.data(), text.size())); }

  private:
    static sv_omega_tuner *made(const omega_options &options)
    {
        sv_omega_tuner *tuner = nullptr;
        check(sv_omega_tuner_create(&tuner, &options));
        return tuner;
    }
};

/* ---- linalg: the multilevel preconditioner of a grid --------------------------------------- */

/* As sv_grid: set axes and shape at least. */
struct grid : sv_grid {
    grid() : sv_grid(SV_GRID_INIT) {}
};

struct multilevel_options : sv_multilevel_options {
    multilevel_options() : sv_multilevel_options(SV_MULTILEVEL_OPTIONS_INIT) {}
};

/* An approximate inverse M of a grid's operator. */
class multilevel : public handle<sv_multilevel, sv_multilevel_destroy> {
  public:
    explicit multilevel(const grid &cells, const multilevel_options &options = multilevel_options())
        : handle(made(cells, options))
    {
    }

    std::size_t size() const noexcept { return sv_multilevel_size(get()); }

    /* Set up anew for a grid of the same shape. */
    void update(const grid &cells) { check(sv_multilevel_update(get(), &cells)); }

    /* z = M r; z may be r. */
    void apply(span<const double> r, span<double> z)
    {
        same_size(r.size(), size(), "r");
        same_size(z.size(), size(), "z");
        check(sv_multilevel_apply(get(), r.data(), z.data()));
    }

    /* Solves A x = b by conjugate gradients; x: where to start, and the answer. */
    report solve(span<const double> b, span<double> x, double rtol = 1e-8, double atol = 0,
                 const control &limits = control())
    {
        report found;
        same_size(b.size(), size(), "b");
        same_size(x.size(), size(), "x");
        check(sv_multilevel_solve(get(), b.data(), x.data(), rtol, atol, &limits, &found));
        return found;
    }

  private:
    static sv_multilevel *made(const grid &cells, const multilevel_options &options)
    {
        sv_multilevel *M = nullptr;
        check(sv_multilevel_create(&M, &cells, &options));
        return M;
    }
};

/* ---- ot: entropic optimal transport --------------------------------------------------------- */

struct ot_options : sv_ot_options {
    ot_options() : sv_ot_options(SV_OT_OPTIONS_INIT) {}
};

/* A solved transport: the potentials, what is known of them, and the plan, whose entries are made when they are asked
 * for. Weights that are empty are equal ones. */
class transport {
  public:
    /* Of n rows of m costs, which must stay as they are while the plan is used. */
    transport(span<const double> C, std::size_t n, std::size_t m, double reg,
              span<const double> a = span<const double>(), span<const double> b = span<const double>(),
              const ot_options &options = ot_options(), const control &limits = control())
        : result(SV_OT_RESULT_INIT), f(n), g(m), n_(n), m_(m)
    {
        sv_ot_plan *made = nullptr;
        same_size(C.size(), n * m, "C");
        check(sv_ot_solve(n, m, C.data(), std::ptrdiff_t(m), weights(a, n, "a"), weights(b, m, "b"), reg, &options,
                          &limits, f.data(), g.data(), &result, &ended, &made));
        plan_.reset(made);
    }

    /* Of points in d dimensions, which are copied. */
    transport(span<const double> X, span<const double> Y, std::size_t d, sv_ot_metric metric, double reg,
              span<const double> a = span<const double>(), span<const double> b = span<const double>(),
              const ot_options &options = ot_options(), const control &limits = control(), double p = 2)
        : result(SV_OT_RESULT_INIT), f(d ? X.size() / d : 0), g(d ? Y.size() / d : 0), n_(f.size()), m_(g.size())
    {
        sv_ot_plan *made = nullptr;
        same_size(X.size(), n_ * d, "X");
        same_size(Y.size(), m_ * d, "Y");
        check(sv_ot_solve_sample(n_, m_, d, X.data(), std::ptrdiff_t(d), Y.data(), std::ptrdiff_t(d), metric, p,
                                 weights(a, n_, "a"), weights(b, m_, "b"), reg, &options, &limits, f.data(), g.data(),
                                 &result, &ended, &made));
        plan_.reset(made);
    }

    /* The plan's n rows of m entries; P x; P' x; where each source sends most. */
    void dense(span<double> P, int threads = 0) const
    {
        same_size(P.size(), n_ * m_, "P");
        check(sv_ot_plan_dense(plan_.get(), P.data(), std::ptrdiff_t(m_), threads));
    }
    void multiply(span<const double> x, span<double> out, int threads = 0) const
    {
        same_size(x.size(), m_, "x");
        same_size(out.size(), n_, "out");
        check(sv_ot_plan_matvec(plan_.get(), x.data(), out.data(), threads));
    }
    void multiply_transposed(span<const double> x, span<double> out, int threads = 0) const
    {
        same_size(x.size(), n_, "x");
        same_size(out.size(), m_, "out");
        check(sv_ot_plan_rmatvec(plan_.get(), x.data(), out.data(), threads));
    }
    void argmax(span<std::ptrdiff_t> best, int threads = 0) const
    {
        same_size(best.size(), n_, "best");
        check(sv_ot_plan_argmax(plan_.get(), best.data(), threads));
    }

    report ended;
    sv_ot_result result;
    std::vector<double> f, g;

  private:
    static const double *weights(span<const double> given, std::size_t size, const char *name)
    {
        if (!given.size())
            return nullptr;
        same_size(given.size(), size, name);
        return given.data();
    }
    struct destroyer {
        void operator()(sv_ot_plan *made) const noexcept { sv_ot_plan_destroy(made); }
    };
    std::unique_ptr<sv_ot_plan, destroyer> plan_;
    std::size_t n_, m_;
};

/* ---- learning: penalised generalised linear models ----------------------------------------- */

/* As sv_design: set n, d and where the numbers lie. */
struct design : sv_design {
    design() : sv_design(SV_DESIGN_INIT) {}
};

struct glm_penalty : sv_glm_penalty {
    glm_penalty() : sv_glm_penalty(SV_GLM_PENALTY_INIT) {}
};

struct glm_options : sv_glm_options {
    glm_options() : sv_glm_options(SV_GLM_OPTIONS_INIT) {}
};

struct glm_result : sv_glm_result {
    glm_result() : sv_glm_result(SV_GLM_RESULT_INIT) {}
};

/* Checked samples, ready for fits at many penalties; the matrix must live as long as this. */
class glm : public handle<sv_glm, sv_glm_destroy> {
  public:
    glm(const design &X, span<const double> y, sv_glm_loss loss = SV_GLM_SQUARED, bool fit_intercept = true,
        span<const double> sample_weight = span<const double>())
        : handle(made(X, y, loss, fit_intercept, sample_weight)), columns_(X.d)
    {
    }

    /* coef: the coefficients, written. */
    report solve(const glm_penalty &penalty, span<double> coef, glm_result &result,
                 const glm_options &options = glm_options(), const control &limits = control())
    {
        report found;
        same_size(coef.size(), columns_, "coef");
        check(sv_glm_solve(get(), &penalty, &options, &limits, coef.data(), &result, &found));
        return found;
    }

  private:
    static sv_glm *made(const design &X, span<const double> y, sv_glm_loss loss, bool fit_intercept,
                        span<const double> sample_weight)
    {
        sv_glm *samples = nullptr;
        same_size(y.size(), X.n, "y");
        if (sample_weight.size())
            same_size(sample_weight.size(), X.n, "sample_weight");
        check(sv_glm_create(&samples, &X, y.data(), sample_weight.size() ? sample_weight.data() : nullptr, loss,
                            fit_intercept));
        return samples;
    }
    std::size_t columns_;
};

} // namespace solvers

#endif
