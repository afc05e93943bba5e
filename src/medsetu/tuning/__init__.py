# SPDX-License-Identifier: Apache-2.0
"""What is allowed to move while a network is fine-tuned."""
