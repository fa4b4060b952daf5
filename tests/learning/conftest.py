import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _array_dispatch_is_checked(monkeypatch):
    """scikit-learn's checks of estimators leave one out where this is not set."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
