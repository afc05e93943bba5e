# SPDX-License-Identifier: Apache-2.0
"""One module per published dataset: a folder becomes a table of samples. Releases never import each other."""
