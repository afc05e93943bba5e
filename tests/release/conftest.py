# SPDX-License-Identifier: Apache-2.0
"""Where the real images are, for the tests that count them."""

import os
from pathlib import Path

import pytest

_DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """Folder of real images; the test is skipped where there is none."""
    folder = Path(os.environ.get("MEDSETU_DATA", _DEFAULT))
    if not folder.is_dir():
        pytest.skip("no real images: set MEDSETU_DATA")
    return folder
