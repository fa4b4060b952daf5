"""Figures against named peers: `python -P bench/run.py [all|special|ot|ot-paper|library]`."""
