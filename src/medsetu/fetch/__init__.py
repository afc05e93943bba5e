# SPDX-License-Identifier: Apache-2.0
"""Bytes from a server to a folder: transfer that resumes, checksums, and unpacking that trusts no archive."""
