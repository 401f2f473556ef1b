"""Hold the kernels that setup.py builds from ext/."""
