# Finite sums.
