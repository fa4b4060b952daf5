"""Monotone inclusions and saddle points: variational inequalities, matrix games, linear programs, fixed points."""
