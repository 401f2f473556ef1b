"""Measurements: kernels and layers by pytest-benchmark, whole workloads beside other programs by `versus`."""
