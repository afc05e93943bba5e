# SPDX-License-Identifier: Apache-2.0
"""A tiny TBX11K: folders as published, COCO lists for train and val, a film of tb without box, test and extra folders."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from fakes.film import eight_bit, film

KINDS = ("ActiveTuberculosis", "ObsoletePulmonaryTuberculosis", "PulmonaryTuberculosis")
BOXED = {1: (1,), 2: (2,), 3: (1, 2), 4: (), 5: (3,), 6: (1, 1)}  # film of tb -> kinds of its boxes
OTHERS = ("test/test0001.png", "extra/da+db/train/px1.jpg", "extra/da+db/train/nx1.jpg", "extra/da+db/val/p3.png",
          "extra/mc+shenzhen/train/CHNCXR_0001_0.png", "extra/mc+shenzhen/val/MCUCXR_0104_1.png",
          "extra/mc+shenzhen/val/mask.png")  # fmt: skip


def write(root: Path, *, seed=0, per_class=6, brightness=0.0) -> Path:
    """Write the release: every third film of a class stands in val; further films of tb repeat ``BOXED``."""
    rng = np.random.default_rng(seed)
    lists = {split: {"images": [], "annotations": [], "categories": []} for split in ("train", "val")}
    for name in lists.values():
        name["categories"] = [{"id": number, "name": kind, "supercategory": "Tuberculosis"} for number, kind in enumerate(KINDS, 1)]
    for folder, letter in (("health", "h"), ("sick", "s"), ("tb", "tb")):
        for number in range(1, per_class + 1):
            below = f"{folder}/{letter}{number:04d}.png"
            _film(root / "imgs" / below, rng, spots=[5] if folder == "tb" else [10] if folder == "sick" else [], brightness=brightness)
            content = lists["val" if number % 3 == 0 else "train"]
            key = len(content["images"]) + 1
            content["images"].append({"id": key, "file_name": below, "width": 64, "height": 64})
            for kind in BOXED[(number - 1) % len(BOXED) + 1] if folder == "tb" else ():
                box = {"id": len(content["annotations"]) + 1, "image_id": key, "category_id": kind, "bbox": [10.5, 12.0, 8.0, 6.25]}
                content["annotations"].append(box)
    for name in OTHERS:
        _film(root / "imgs" / name, rng, spots=[], brightness=brightness)
    (root / "annotations" / "json").mkdir(parents=True)
    for split, content in lists.items():
        (root / "annotations" / "json" / f"TBX11K_{split}.json").write_text(json.dumps(content))
    return root


def _film(path: Path, rng, *, spots: list[int], brightness: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(eight_bit(film(rng, spots=spots, brightness=brightness))).convert("RGB").save(path)
