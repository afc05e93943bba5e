# SPDX-License-Identifier: Apache-2.0
"""Alike pictures on real films: recall of changed copies with a lower bound, every pair found, and how alike distinct films are.

python -m scripts.bench_duplicates [--data FOLDER] [--films N] [--only WORDS] [--keep FILE.npz] [--sheets FOLDER]
"""

import argparse
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import beta

from medsetu.manifest.leakage import CHANGES, EXACT, find_pairs
from medsetu.manifest.plan import Similarity
from medsetu.manifest.scan import Task, inspect
from medsetu.manifest.similarity import fine_structure, hash_text, mirrored, perceptual_hash, thumbnail
from medsetu.reader.sample import read_sample, shown

FOLDERS = ("nih_chestxray14", "tb_chest_radiography_database", "nitrd_da", "tbx11k_sample", "mini_mias")
SUFFIXES = (".png", ".jpg", ".jpeg", ".pgm", ".tif", ".tiff")
DEEP = 65535
ENOUGH = 50  # pairs from which a tail is fitted
CLOSEST = 6  # pairs of distinct films that are named


def resized(pixels: np.ndarray, size: int = 224) -> np.ndarray:
    """Resize to a square."""
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)).clip(0, 1)


def squeezed(pixels: np.ndarray, quality: int = 50) -> np.ndarray:
    """Write as JPEG and read again."""
    stream = io.BytesIO()
    Image.fromarray((pixels * 255).astype(np.uint8)).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream), dtype=np.float32) / 255


def windowed(pixels: np.ndarray) -> np.ndarray:
    """Cut the darkest and the brightest hundredth off."""
    low, high = np.percentile(pixels, [1, 99])
    return ((pixels - low) / max(high - low, 1e-6)).clip(0, 1)


def deep(pixels: np.ndarray, low: float = 0, high: float = 1) -> np.ndarray:
    """Write as PNG of 16 bits, in a part of their range, and read with medsetu's own reader."""
    path = Path(tempfile.gettempdir()) / f"deep{os.getpid()}.png"
    Image.fromarray(np.round((low + (high - low) * pixels) * DEEP).astype(np.uint16)).save(path)
    return shown(read_sample(path, sample_id="deep"), sample_id="deep").pixels


def lettered(pixels: np.ndarray, words: str = "R  ERECT  PA", part: int = 18) -> np.ndarray:
    """Mirror the film and write on it the right way round, as a viewer does, in letters of a part of its height."""
    page = Image.fromarray((pixels[:, ::-1] * 255).astype(np.uint8))
    font = ImageFont.load_default(size=max(page.height // part, 8))
    ImageDraw.Draw(page).text((page.width // 20, page.height // 20), words, fill=255, font=font)
    return np.asarray(page, dtype=np.float32) / 255


COPIES = {
    "resize to 224 x 224": resized,
    "JPEG, quality 50": squeezed,
    "JPEG, quality 20": lambda x: squeezed(x, 20),
    "16 bits": deep,
    "16 bits, a third of the range": lambda x: deep(x, 0.1, 0.43),
    "8 bits": lambda x: np.round(x * 255) / 255,
    "windowed, 1 % cut at both ends": windowed,
    "inversion": lambda x: 1 - x,
    "mirror": lambda x: x[:, ::-1],
    "mirror, a letter of 1/18 of the height the right way round": lambda x: lettered(x, "R"),
    "mirror, words of 1/36 of the height the right way round": lambda x: lettered(x, part=36),
    "mirror, words of 1/18 of the height the right way round": lettered,
    "resize, JPEG, inversion": lambda x: squeezed(1 - resized(x)),
    "resize, JPEG, inversion, mirror": lambda x: squeezed(np.ascontiguousarray(1 - resized(x)[:, ::-1])),
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


def bound(found: int, films: int) -> float:
    """One-sided 95 % lower bound of a share (Clopper and Pearson 1934)."""
    return float(beta.ppf(0.05, found, films - found + 1)) if found else 0.0


def recall(table: pd.DataFrame, data: Path, films: int, near: Similarity, pairs: pd.DataFrame, *, only: str) -> pd.DataFrame:
    """Change real films, count how many find their original among all films, and what else they find; returns what else."""
    chosen = table.iloc[np.unique(np.linspace(0, len(table) - 1, films or len(table)).astype(int))]
    small: dict[str, list[np.ndarray]] = {name: [] for name in COPIES if only in name}
    for name in chosen["sample_id"]:
        pixels = shown(read_sample(data / name, sample_id=name), sample_id=name).pixels
        for change, copied in small.items():
            copied.append(thumbnail(np.ascontiguousarray(COPIES[change](pixels), dtype=np.float32)))
    known = set(zip(pairs["a"], pairs["b"], strict=True)) | set(zip(pairs["b"], pairs["a"], strict=True))
    others = []
    for change, copied in small.items():
        copies = pd.DataFrame({"sample_id": "copy/" + chosen["sample_id"], "sha256": [f"copy {n}" for n in range(len(chosen))]})
        copies = copies.assign(phash=[hash_text(perceptual_hash(one)) for one in copied], thumbnail=copied)
        both = pd.concat([table, copies], ignore_index=True)
        found = find_pairs(both, np.stack(both["thumbnail"].to_list()), near=near)
        found = found[found["b"].str.startswith("copy/") & ~found["a"].str.startswith("copy/")].assign(b=found["b"].str[5:])
        hit = found.loc[found["a"] == found["b"], "a"].nunique()
        false = np.array([(one, two) not in known for one, two in zip(found["a"], found["b"], strict=True)], dtype=bool)
        false = found[(found["a"] != found["b"]) & false].assign(change=change)
        others.append(false)
        alike = found.loc[found["a"] == found["b"], "correlation"].abs().min()
        told = f"{hit} of {len(chosen)} ({hit / len(chosen):.4f}, at least {bound(hit, len(chosen)):.4f})"
        print(f"{change}: {told}; least alike {alike:.3f}; pairs of two films {len(false)}")
    return pd.concat(others, ignore_index=True)


def beyond(values: np.ndarray, least: float, share: float) -> float:
    """Number of pairs that an exponential tail, fitted to a share of the highest correlations (Fisher's z), expects above a limit."""
    z = np.arctanh(values.clip(-0.999, 0.999))
    start = np.quantile(z, 1 - share)
    return float(len(z) * share * np.exp((start - np.arctanh(least)) / (z[z > start] - start).mean()))


def distinct(table: pd.DataFrame, pairs: pd.DataFrame, near: Similarity) -> None:
    """Say how alike distinct films are, over all pairs, upright and mirrored, by source."""
    fine = fine_structure(np.stack(table["thumbnail"].to_list())).astype(np.float32)
    hashes = np.array([int(text, 16) for text in table["phash"]], dtype=np.uint64)
    source = table["sample_id"].str.split("/").str[0].to_numpy()
    place = pd.Series(np.arange(len(table)), index=table["sample_id"])
    apart = np.triu(np.ones((len(table), len(table)), dtype=bool), 1)
    apart[np.minimum(place[pairs["a"]], place[pairs["b"]]), np.maximum(place[pairs["a"]], place[pairs["b"]])] = False
    for kind, mask in CHANGES.items():
        other = mirrored(fine.astype(np.float16)).astype(np.float32) if "mirrored" in kind else fine
        alike = (other @ fine.T) * (-1 if "inverted" in kind else 1)
        bits = np.bitwise_count((hashes ^ np.uint64(mask))[:, None] ^ hashes[None, :])
        print(f"{kind}: {apart.sum()} pairs of distinct films; correlations by hash distance and source")
        for name, within in (("any", apart), (f"{near.distance} bits", apart & (bits <= near.distance))):
            values = np.sort(alike[within])[::-1].astype(float)
            print(f"  {name}: {within.sum()} pairs, highest {values[:CLOSEST].round(3).tolist()}")
            least = near.mirrored if "mirrored" in kind else near.correlation
            for own in sorted(set(source)):
                inside = within & ((source == own)[:, None] & (source == own)[None, :])
                left = np.sort(alike[within & ~inside])[::-1].astype(float)
                values = np.sort(alike[inside])[::-1].astype(float)
                tail = [round(beyond(values, least, share), 3) for share in (0.1, 0.2)] if len(values) >= ENOUGH else "too few to say"
                told = f"{inside.sum()} pairs, {values[:3].round(3).tolist()}; others {left[:1].round(3).tolist()}"
                print(f"    within {own}: {told}; expected above {least}: {tail}")


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
    parser.add_argument("--films", type=int, default=0, help="films that are changed; 0 takes all")
    parser.add_argument("--only", default="", help="part of the names of the changes to make; all when empty")
    parser.add_argument("--keep", type=Path, help="remembers what was read of the films")
    parser.add_argument("--sheets", type=Path, help="folder, outside the repository, for pictures of the pairs")
    options = parser.parse_args()
    near = Similarity()
    table = measured(options.data, options.keep)
    pairs = find_pairs(table, np.stack(table["thumbnail"].to_list()), near=near)
    print(f"{len(table)} real films: {pairs['kind'].value_counts().to_dict() or 'no'} pairs")
    print(pairs[pairs["kind"] != EXACT].to_string())
    distinct(table, pairs, near)
    others = recall(table, options.data, options.films, near, pairs, only=options.only)
    print(others.to_string())
    if options.sheets:
        sheets(pd.concat([pairs[pairs["kind"] != EXACT], others]).drop_duplicates(["a", "b"]), options.data, options.sheets)


if __name__ == "__main__":
    main()
