# SPDX-License-Identifier: Apache-2.0
"""Results to something a clinician and a reviewer can read: one self-contained HTML file, and tables for the terminal."""
