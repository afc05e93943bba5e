# SPDX-License-Identifier: Apache-2.0
import pytest

from fakes.folder import write


@pytest.fixture
def make_release(tmp_path):
    """Write a release below the temporary folder."""

    def make(name="folder", **options):
        return write(tmp_path / name, name=name, **options)

    return make
