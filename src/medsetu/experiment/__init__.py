# SPDX-License-Identifier: Apache-2.0
"""One module per verb, each with ``main(config)``; what verbs share stands in ``stage`` and ``cell``."""
