# SPDX-License-Identifier: Apache-2.0
"""Bytes to grey pictures with their facts; import from the modules, for example ``from medsetu.reader.image import read_image``."""
