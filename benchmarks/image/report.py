"""Say which versions the image holds; what `docker run` on it prints."""

import importlib
import platform

print("python", platform.python_version())
for name in ("numpy", "scipy", "pandas"):
    print(name, importlib.import_module(name).__version__)
