"""The rows of the demo, a file each.

A file has TITLE, ORDER (its place in the table) and ``run(progress, threads) -> Row``; what it imports at
its top is what the demo asks to be installed.
"""
