/* solvers.hpp - the C interface in C++11: spans that know their sizes, handles that destroy themselves, exceptions.
 *
 * Header only. A call that is refused (a negative status) throws solvers::error; how a solve ended, good or not, is in
 * the report that it returns. The C functions may be mixed in freely: every handle gives its pointer by get().
 */
#ifndef SOLVERS_HPP
#define SOLVERS_HPP

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>

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

} // namespace solvers

#endif
