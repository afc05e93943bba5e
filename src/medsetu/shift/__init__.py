# SPDX-License-Identifier: Apache-2.0
"""The project's question: what was lost and won between global and local. No torch here."""
