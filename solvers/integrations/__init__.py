"""Adapters to other packages, a file each; importing one needs its host."""
