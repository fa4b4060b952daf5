# The learner of a sequence: its numbers are NumPy arrays of this object's, the arithmetic is C's. Values are checked by
# the callers.

cdef extern from "forecast.h" nogil:
    struct sv_forecast:
        size_t arms, features
        double *mean
        double *covariance
        const int64_t *told
        const uint8_t *failing
        double noise, first_noise
        double *work

    struct sv_outlook:
        const double *setup
        const double *solve
        const double *due
        const double *lifetime
        const double *features
        double horizon, patience, budget, free_trials, turn

    struct sv_choice:
        size_t arm, incumbent
        double best, forecast

    enum:
        SV_ESTIMATE_COLUMNS
    void sv_forecast_estimate(size_t, const double *, double, double, double *)
    void sv_forecast_ask(const sv_forecast *, const sv_outlook *, sv_choice *)
    void sv_forecast_update(const sv_forecast *, size_t, const double *, double, double)
    void sv_forecast_variances(const sv_forecast *, const double *, double *)


def estimates(columns, double condition, double digits):
    """(3, arms): set-ups, solves and iterations, from the coefficients (their number, arms)."""
    cdef size_t arms = columns.shape[1]
    out = np.empty((3, arms))
    sv_forecast_estimate(arms, doubles(columns.reshape(-1), SV_ESTIMATE_COLUMNS * arms, "columns"), condition, digits,
                         doubles(out.reshape(-1), 3 * arms, "out", True))
    return out


cdef class ForecastArrays:
    """Means, covariance and counts of `arms` arms, and what C does with them."""

    cdef sv_forecast forecast
    cdef object kept  # what the pointers point into

    def __cinit__(self, mean, covariance, told, failing, double noise, double first_noise):
        """mean: (2 arms, features); covariance: (2 arms features)^2; told: int64 (arms,); failing: bool (arms,)."""
        cdef size_t arms = len(told), features = mean.shape[1], size = 2 * arms * features
        work = np.zeros(size)
        self.kept = mean, covariance, told, failing, work
        self.forecast.arms, self.forecast.features = arms, features
        self.forecast.mean = doubles(mean.reshape(-1), size, "mean", True)
        self.forecast.covariance = doubles(covariance.reshape(-1), size * size, "covariance", True)
        self.forecast.told = <const int64_t *>integers(told, arms, True, "told")
        self.forecast.failing = <const uint8_t *>vector_of(failing, arms, b"?", 1, "failing")
        self.forecast.noise, self.forecast.first_noise = noise, first_noise
        self.forecast.work = doubles(work, size, "work", True)

    def ask(self, setup, solve, due, lifetime, features, double horizon, double patience, double budget,
            double free_trials, double turn):
        """(arm, incumbent, the incumbent's cost in the long run, the arm's next cost)."""
        cdef size_t arms = self.forecast.arms
        cdef sv_outlook outlook
        cdef sv_choice choice
        outlook.setup, outlook.solve = doubles(setup, arms, "setup"), doubles(solve, arms, "solve")
        outlook.due, outlook.lifetime = doubles(due, arms, "due"), doubles(lifetime, arms, "lifetime")
        outlook.features = doubles(features, self.forecast.features, "features")
        outlook.horizon, outlook.patience = horizon, patience
        outlook.budget, outlook.free_trials, outlook.turn = budget, free_trials, turn
        sv_forecast_ask(&self.forecast, &outlook, &choice)
        return choice.arm, choice.incumbent, choice.best, choice.forecast

    def update(self, size_t quantity, features, double seen, double noise):
        """A quantity was seen to be `seen`, with this variance."""
        if quantity >= 2 * self.forecast.arms:
            raise ValueError(f"there is no quantity {quantity}")
        sv_forecast_update(
            &self.forecast, quantity, doubles(features, self.forecast.features, "features"), seen, noise
        )

    def variances(self, features):
        """Of all quantities."""
        out = np.empty(2 * self.forecast.arms)
        sv_forecast_variances(
            &self.forecast, doubles(features, self.forecast.features, "features"), doubles(out, len(out), "out", True)
        )
        return out
