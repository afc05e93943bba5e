# SPDX-License-Identifier: Apache-2.0
"""Run the command line as ``python -m medsetu``."""

from medsetu.cli import main

if __name__ == "__main__":
    main()
