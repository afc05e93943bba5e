# SPDX-License-Identifier: Apache-2.0
"""From YAML to objects: composition, safe instantiation, checks before anything runs. Only here and in the command line: Hydra."""
