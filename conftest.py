"""Shared by `tests/` and `perf_tests/`."""

pytest_plugins = ["pytester"]
