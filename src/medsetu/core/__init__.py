# SPDX-License-Identifier: Apache-2.0
"""Words everyone uses: errors, facts of a sample, labels, tables and run folders. No torch here."""
