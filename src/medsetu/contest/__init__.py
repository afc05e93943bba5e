# SPDX-License-Identifier: Apache-2.0
"""Which of several ways of training is best on the same films, and whether that can be said at all; numpy only."""
