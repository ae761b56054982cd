"""Lets the tests of this folder share its modules as `tests.agent.…`, wherever pytest starts."""

import sys
from pathlib import Path

_ROOT = str(Path(__file__).parents[2])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)
