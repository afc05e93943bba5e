# SPDX-License-Identifier: Apache-2.0
"""Near duplicates: time among 100,000 hashes, recall on changed real films, and every pair among the real films, to be looked at.

python -m scripts.bench_duplicates [--data FOLDER] [--hashes N] [--films N] [--keep FILE.npz] [--sheets FOLDER]
"""

import argparse
import io
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from medsetu.manifest.leakage import CHANGES, EXACT, find_pairs
from medsetu.manifest.neighbour import near_pairs
from medsetu.manifest.plan import Similarity
from medsetu.manifest.scan import Task, inspect
from medsetu.manifest.similarity import hash_text, perceptual_hash, thumbnail
from medsetu.reader.sample import read_sample, shown

FOLDERS = ("nih_chestxray14", "tb_chest_radiography_database", "nitrd_da", "tbx11k_sample", "mini_mias")
SUFFIXES = (".png", ".jpg", ".jpeg", ".pgm", ".tif", ".tiff")
SAMPLE = 10_000  # hashes compared with each other, from which the quadratic loop is extrapolated


def resized(pixels: np.ndarray, size: int = 224) -> np.ndarray:
    """Resize to a square."""
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)).clip(0, 1)


def squeezed(pixels: np.ndarray, quality: int = 50) -> np.ndarray:
    """Write as JPEG and read again."""
    stream = io.BytesIO()
    Image.fromarray((pixels * 255).astype(np.uint8)).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream), dtype=np.float32) / 255


COPIES = {
    "resize to 224 x 224": resized,
    "JPEG, quality 50": squeezed,
    "16 to 8 bits": lambda x: np.round(x * 255).astype(np.float32) / 255,
    "inversion": lambda x: 1 - x,
    "mirror": lambda x: np.ascontiguousarray(x[:, ::-1]),
    "resize, JPEG, inversion and mirror": lambda x: squeezed(np.ascontiguousarray(1 - resized(x)[:, ::-1])),
}


def measured(data: Path, keep: Path | None) -> pd.DataFrame:
    """Open every real film once; ``keep`` remembers what came out."""
    if keep and keep.is_file():
        stored = np.load(keep, allow_pickle=False)
        return pd.DataFrame({name: list(stored[name]) for name in ("sample_id", "sha256", "phash", "thumbnail")})
    files = sorted(path for folder in FOLDERS for path in (data / folder).rglob("*") if path.suffix.lower() in SUFFIXES)
    records = [inspect(Task("", path, path.relative_to(data).as_posix())) for path in files]
    read = [record for record in records if not record.reason]
    small = [np.frombuffer(record.thumbnail, dtype=np.float16).reshape(32, 32) for record in read]
    table = pd.DataFrame(
        {
            "sample_id": [record.sample_id for record in read],
            "sha256": [record.sha256 for record in read],
            "phash": [record.phash for record in read],
            "thumbnail": small,
        }
    )
    if keep:
        np.savez(keep, **{name: np.array(table[name].tolist()) for name in table.columns})
    return table


def speed(small: np.ndarray, count: int, distance: int) -> None:
    """Time all four changes among hashes as alike as chest films are: each is a blend of two real ones with noise."""
    rng = np.random.default_rng(0)
    hashes = np.empty(count, dtype=np.uint64)
    for place in range(count):
        one, other = small[rng.integers(0, len(small), 2)].astype(np.float64)
        share = rng.uniform(0.3, 0.7)
        hashes[place] = perceptual_hash(share * one + (1 - share) * other + rng.normal(0, 0.05, (32, 32)))
    begun = time.perf_counter()
    found = sum(len(part[0]) for mask in CHANGES.values() for part in near_pairs(hashes, distance=distance, mask=mask))
    took = time.perf_counter() - begun
    part = hashes[:SAMPLE]
    begun = time.perf_counter()
    for mask in CHANGES.values():
        turned = part ^ np.uint64(mask)
        for row in range(len(part)):
            np.flatnonzero(np.bitwise_count(turned[row] ^ part[row + 1 :]) <= distance)
    loop = (time.perf_counter() - begun) * (count / SAMPLE) ** 2
    told = f"{count} hashes, {distance} bits, 4 changes: {took:.1f} s for {found} pairs"
    print(f"{told}; the loop over all pairs would take {loop:.0f} s ({loop / took:.1f} times)")


def recall(table: pd.DataFrame, data: Path, films: int, near: Similarity) -> None:
    """Change real films and count how many find their original among all films."""
    chosen = table.iloc[np.linspace(0, len(table) - 1, films).astype(int)]
    pictures = [shown(read_sample(data / name, sample_id=name), sample_id=name).pixels for name in chosen["sample_id"]]
    for name, change in COPIES.items():
        small = [thumbnail(np.ascontiguousarray(change(pixels), dtype=np.float32)) for pixels in pictures]
        copies = pd.DataFrame({"sample_id": "copy/" + chosen["sample_id"], "sha256": [f"copy {n}" for n in range(films)]})
        copies = copies.assign(phash=[hash_text(perceptual_hash(one)) for one in small], thumbnail=small)
        both = pd.concat([table, copies], ignore_index=True)
        pairs = find_pairs(both, np.stack(both["thumbnail"].to_list()), near=near)
        hit = set(pairs.loc["copy/" + pairs["a"] == pairs["b"], "a"])
        print(f"{name}: {len(hit & set(chosen['sample_id']))} of {films} found")


def sheets(pairs: pd.DataFrame, data: Path, folder: Path) -> None:
    """Draw every pair side by side; keep the folder outside the repository."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(0, len(pairs), 12):
        page = Image.new("L", (4 * 410, 3 * 205))
        for place, (_, row) in enumerate(pairs.iloc[number : number + 12].iterrows()):
            for side, name in enumerate((row["a"], row["b"])):
                pixels = shown(read_sample(data / name, sample_id=name), sample_id=name).pixels
                page.paste(
                    Image.fromarray((pixels * 255).astype(np.uint8)).resize((200, 200)), (place % 4 * 410 + side * 202, place // 4 * 205)
                )
        page.save(folder / f"pairs{number // 12:02d}.png")


def main() -> None:
    """Run all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MEDSETU_DATA", "../shared/data")))
    parser.add_argument("--hashes", type=int, default=100_000)
    parser.add_argument("--films", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="remembers what was read of the films")
    parser.add_argument("--sheets", type=Path)
    options = parser.parse_args()
    near = Similarity()
    table = measured(options.data, options.keep)
    small = np.stack(table["thumbnail"].to_list())
    speed(small, options.hashes, near.distance)
    pairs = find_pairs(table, small, near=near)
    counts = pairs["kind"].value_counts().to_dict()
    print(f"{len(table)} real films: {counts or 'no'} pairs; the least alike {pairs['correlation'].abs().min():.3f}")
    hashes = np.array([int(text, 16) for text in table["phash"]], dtype=np.uint64)
    close = {kind: sum(int((part[2] <= 4).sum()) for part in near_pairs(hashes, distance=4, mask=mask)) for kind, mask in CHANGES.items()}
    print(f"pairs within 4 bits, by change, the true ones among them: {close}")
    print(pairs[pairs["kind"] != EXACT].to_string())
    if options.sheets:
        sheets(pairs[pairs["kind"] != EXACT], options.data, options.sheets)
    recall(table, options.data, options.films, near)


if __name__ == "__main__":
    main()
