"""The terminal UI of kagent and its command line. Importing this package imports nothing heavy."""

import sys
from types import ModuleType
from typing import cast

# httpx imports its own command line wherever click and rich are installed: a tenth of our start, and 4 MB. What is None
# here cannot be imported, and httpx then goes without.
sys.modules.setdefault("httpx._main", cast("ModuleType", None))
