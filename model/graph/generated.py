"""PyG writes the code that it generates for an operator into the temporary folder, and leaves it there for ever."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

OURS = "model.graph."  # PyG names what it generates after the module of the operator


def remove_generated_files() -> None:
    """Of this process's operators; the modules are loaded, and need them no more."""
    folder = Path(tempfile.gettempdir())
    ours = [module for name, module in sys.modules.items() if name.startswith(OURS)]
    for file in (Path(str(module.__file__)) for module in ours):
        if file.parent == folder:
            file.unlink(missing_ok=True)
