# SPDX-License-Identifier: Apache-2.0
"""A server on this machine, with proxies in the environment that lead nowhere."""

import random

import pytest

from fakes.server import serving
from medsetu.fetch.transfer import Patience

NOWHERE = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture(autouse=True)
def _proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, NOWHERE)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def site():
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def noise() -> bytes:
    """Eight MiB and a bit, so that no number is round."""
    return random.Random(5).randbytes((8 << 20) + 12_345)  # noqa: S311 - no secret


@pytest.fixture
def hasty() -> Patience:
    return Patience(timeout=0.5, retries=3, pause=0.01, longest=0.05)
