# SPDX-License-Identifier: Apache-2.0
"""What could identify a patient in files of any kind: found and counted by rule, never shown; removed into a copy."""
