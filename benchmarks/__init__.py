"""The library timed beside its peers: ``python -m benchmarks`` lists what is measured.

A benchmark is a file ``benchmarks/NAME.py`` with a docstring, whose first line describes it, and a function
``run(repeat: int) -> list[Row]``. It imports its peer itself, inside a function.
"""
