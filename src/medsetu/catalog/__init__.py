# SPDX-License-Identifier: Apache-2.0
"""What exists, and what we may do with it: cards of published datasets and verdicts on their licences."""
