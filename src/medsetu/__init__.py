# SPDX-License-Identifier: Apache-2.0
"""medsetu: transfer learning for medical imaging, from global data to local patients."""

__version__ = "0.1.0"
