# Linear programs.
