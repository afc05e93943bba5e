# SPDX-License-Identifier: Apache-2.0
"""The toy stage of the training tests."""

from training.conftest import _one_thread as _one_thread
from training.conftest import plan as plan
