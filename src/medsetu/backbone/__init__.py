# SPDX-License-Identifier: Apache-2.0
"""What is carried over the bridge: networks from timm, torchvision, MONAI and torchxrayvision under one contract."""
