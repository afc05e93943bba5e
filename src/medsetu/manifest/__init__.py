# SPDX-License-Identifier: Apache-2.0
"""Who is in, and on which side: reading every file once, duplicates, splits, and the frozen manifest. No torch here."""
