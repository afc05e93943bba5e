# SPDX-License-Identifier: Apache-2.0
"""Does a killed run end with the weights of the run that was left alone? Real processes, SIGKILL, every strategy of configs/tuning.

python -m scripts.kill_resume --kills 4 --into kills.jsonl
Each configuration is trained once without a disturbance; then it is killed again and again, at a random time or at a random system call
inside a save, started again each time, and at last left to finish. Compared are the chosen weights and the last ones, bit by bit, the
chosen epoch and value, and the number of epochs. With --into each finished configuration is kept, and a script that was stopped goes on.
"""

import argparse
import hashlib
import os
import random
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image
from scripts.kill_case import Case, Outcome, keep, known, table
from torch import Tensor, nn
from torch.nn import functional

from medsetu.backbone.network import Network
from medsetu.backbone.zoo import TimmBackbone
from medsetu.core.place import config_folder
from medsetu.core.run import sha256_file
from medsetu.data.augment import Augmentation
from medsetu.data.datamodule import StageDataModule
from medsetu.data.plan import DataPlan, TrainOn
from medsetu.recipe.instantiate import build
from medsetu.training.fit import TrainerOptions, fit_stage
from medsetu.training.hardware import Hardware, process_rank
from medsetu.training.mixing import Mixing
from medsetu.training.plan import StagePlan
from medsetu.training.selfsupervised import SimCLR
from medsetu.tuning.frozen import Frozen
from medsetu.tuning.strategy import Strategy

SIZE, TRAIN, VAL = 32, 28, 8  # pixels, films
FINDING = "tuberculosis"
_WAIT_S = 300.0
CRAFT: dict[str, dict[str, Any]] = {  # further settings of a stage that carry a state of their own
    "": {},
    "swa": {"swa": 0.5},
    "patience": {"patience": 1, "lr": 0.1, "epochs": 5},  # it overshoots, and stops after four
    "mix": {"mix": Mixing(mixup_p=0.5, cutmix_p=0.5)},
    "simclr": {"pretext": SimCLR(), "findings": ()},
}


def cases(names: Sequence[str]) -> list[Case]:
    """Every strategy alone, with workers, averaging and accumulation in turn, and in two processes; every craft in one and in two."""
    single = [
        Case(name, workers=2 * (number % 2), ema=0.9 * (number % 3 == 1), accumulate=1 + 2 * (number // 2 % 2))
        for number, name in enumerate(names)
    ]
    every = [Case("full", workers=workers, ema=ema, accumulate=3) for workers in (0, 2) for ema in (0.0, 0.9)]
    pairs = [
        Case(name, ema=0.9 * (number % 2), accumulate=1 + 2 * (number // 2 % 2), processes=2, workers=2 * (number % 5 == 4))
        for number, name in enumerate(names)
    ]
    craft = [Case("full", processes=processes, craft=name) for name in CRAFT if name for processes in (1, 2)]
    return [*pairs, *craft, *single, *every]


def strategies() -> list[str]:
    """Names of configs/tuning."""
    return sorted(path.stem for path in (config_folder() / "tuning").glob("*.yaml"))


def strategy(name: str) -> Strategy:
    """Build a strategy as a recipe would."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", [f"tuning@stages.finetune.tuning={name}"])
    found: Strategy = build(OmegaConf.to_container(config.stages.finetune.tuning, resolve=True), where=name)
    return found


def films(folder: Path) -> pd.DataFrame:
    """Draw films whose class is a bright corner, with the facts that a data module reads."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(TRAIN + VAL):
        pixels = generator.integers(0, 130, (SIZE, SIZE)).astype(np.uint8)
        pixels[: SIZE // 3, : SIZE // 3] += 100 * (number % 2)
        path = folder / f"{number:03d}.png"
        Image.fromarray(pixels).save(path)
        names = {"sample_id": f"toy/{number}", "patient_id": f"p{number}", "release": "toy", "domain": "local", "site": "toy"}
        place = {"root": str(folder), "path": path.name, "sha256": sha256_file(path)}
        rows.append({**names, **place, FINDING: float(number % 2)})
    return pd.DataFrame(rows)


def network(findings: tuple[str, ...] = (FINDING,)) -> Network:
    """A tiny network with batch normalisation and, in training, dropout."""
    made = TimmBackbone("test_resnet", size=SIZE).build(findings, seed=0)
    first = next(module for module in made.trunk.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_hook(_drop)
    return made


def _drop(module: nn.Module, _: object, output: Tensor) -> Tensor:
    return functional.dropout(output, 0.2, training=module.training)


def train(case: Case, moves: Strategy, manifest: pd.DataFrame, folder: Path) -> None:
    """Train or continue a case in this process, and leave the hash of all weights."""
    torch.set_num_threads(1)
    settings: dict[str, Any] = {
        "findings": (FINDING,),
        "epochs": 4,
        "lr": 3e-3,
        "ema": case.ema,
        "accumulate": case.accumulate,
        **CRAFT[case.craft],
    }
    plan = StagePlan(side="local", tuning=moves, batch_size=8 // case.processes, **settings)
    split = pd.Series(["train"] * TRAIN + ["val"] * VAL, index=pd.Index(manifest["sample_id"]))
    made = network(tuple(plan.findings))
    data = StageDataModule(
        manifest,
        split,
        findings=plan.findings,
        train_on=TrainOn("local", batch_size=plan.batch_size, part=process_rank() or 0, parts=case.processes),
        watch={"local": TrainOn("local")},
        spec=made.spec,
        plan=DataPlan(folder.parent / "cache", workers=case.workers, build_workers=0, progress=False, augment=Augmentation()),
        seed=0,
    )
    hardware = Hardware("cpu", "32-true", case.processes)
    options = TrainerOptions(progress=False, save_every_s=0.0)
    result = fit_stage(made, data, plan=plan, folder=folder, seed=0, hardware=hardware, options=options)
    if not process_rank():
        last = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in made.state_dict().values())).hexdigest()
        (folder / "hashes").write_text(f"{result.sha256} {last} {result.best_epoch} {result.best_value!r} {result.epochs_run}")


def start(work: Callable[[], None], *, processes: int = 1) -> list[int]:
    """Fork processes that do the same work; each knows its rank when there are several.

    Returns:
        Their ids.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sys.stdout.flush()
    return [_fork(work, rank, processes, port=port) for rank in range(processes)]


def _fork(work: Callable[[], None], rank: int, processes: int, *, port: int) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        if processes > 1:
            place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
            os.environ.update(place | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)})
        work()
        code = 0
    except SystemExit as left:
        code = int(left.code or 0)
    except BaseException:  # noqa: BLE001 - a forked process must not go on as a second one of this script
        traceback.print_exc()
    finally:
        os._exit(code)


def wait(children: Iterable[int], *, until: float = float("inf")) -> list[int | None]:
    """Wait for processes, at most until a moment of the monotonic clock; when one fails the others are killed.

    Returns:
        Exit codes, negative for a signal; None for one that still runs.
    """
    codes: dict[int, int | None] = dict.fromkeys(children)
    while None in codes.values() and time.monotonic() < until:
        for child in [child for child, code in codes.items() if code is None]:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                codes[child] = os.waitstatus_to_exitcode(status)
        if any(codes.values()):
            for child in [child for child, code in codes.items() if code is None]:
                os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    return list(codes.values())


def die_in_save(number: int) -> None:
    """Let this process kill itself at a system call that makes a file safe: before it, or after it."""
    left = [number]

    def mortal(call: Callable[..., None]) -> Callable[..., None]:
        def called(*args: object) -> None:
            for moment in (0, 1):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                if moment == 0:
                    call(*args)

        return called

    os.fsync, os.replace = mortal(os.fsync), mortal(os.replace)


def torment(case: Case, moves: Strategy, folder: Path, *, kills: int, chance: random.Random) -> Outcome:
    """Train a case undisturbed, then kill and continue it until it has died often enough, and compare.

    Args:
        case: The configuration.
        moves: Its strategy.
        folder: An empty folder.
        kills: How often it is killed; a run that finishes before its time comes is begun anew.
        chance: Source of the moments.

    Returns:
        What became of it.

    Raises:
        RuntimeError: A run failed by itself.
    """
    manifest = films(folder / "films")
    began = time.monotonic()
    _finish(case, moves, manifest, folder / "whole")
    whole, lasts = (folder / "whole" / "hashes").read_text(), time.monotonic() - began
    died = in_save = resumes = rounds = 0
    same = True
    while died < kills:
        rounds += 1
        place = folder / f"cut-{rounds}"
        while died < kills and not (place / "hashes").is_file():
            resumes += any(place.glob("resume-?.ckpt"))
            aimed = chance.random() < 0.5
            if _kill(case, moves, manifest, place, moment=chance.randrange(100) if aimed else None, after=chance.uniform(0.2, 0.9) * lasts):
                died, in_save = died + 1, in_save + aimed
        if not (place / "hashes").is_file():
            resumes += any(place.glob("resume-?.ckpt"))
            _finish(case, moves, manifest, place)
        left = {path.name for path in place.iterdir()} - {"best.safetensors", "best.safetensors.sha256", "hashes"}
        if left:
            message = f"{case} left {sorted(left)}"
            raise RuntimeError(message)
        same = same and (place / "hashes").read_text() == whole and sha256_file(place / "best.safetensors") == whole.split()[0]
    return Outcome(died, in_save, resumes, not same)


def _finish(case: Case, moves: Strategy, manifest: pd.DataFrame, place: Path) -> None:
    place.mkdir(exist_ok=True)
    children = start(lambda: train(case, moves, manifest, place), processes=case.processes)
    codes = wait(children, until=time.monotonic() + _WAIT_S)
    if any(code != 0 for code in codes):
        for child in children:
            os.kill(child, signal.SIGKILL)
        message = f"{case} ended with {codes}"
        raise RuntimeError(message)


def _kill(case: Case, moves: Strategy, manifest: pd.DataFrame, place: Path, *, moment: int | None, after: float) -> bool:
    """Start or continue a case and kill it: all its processes after some seconds, or the first in a save; False when it finished before."""
    place.mkdir(exist_ok=True)

    def work() -> None:
        if moment is not None and not process_rank():
            die_in_save(moment)
        train(case, moves, manifest, place)

    children = start(work, processes=case.processes)
    codes = wait(children, until=time.monotonic() + (after if moment is None else _WAIT_S))
    for child in [child for child, code in zip(children, codes, strict=True) if code is None]:
        os.kill(child, signal.SIGKILL)
    codes = [code if code is not None else wait([child])[0] for child, code in zip(children, codes, strict=True)]
    if all(code == 0 for code in codes):
        return False
    if -signal.SIGKILL not in codes:
        message = f"{case} ended with {codes}"
        raise RuntimeError(message)
    return True


def main() -> None:
    """Run every case that is not known yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=4, help="kills per configuration")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="strategies; all of configs/tuning when left out")
    parser.add_argument("--into", type=Path, help="file to which each finished configuration is added; those in it are not run again")
    chosen = parser.parse_args()
    began = time.monotonic()
    built = {name: strategy(name) for name in {*(chosen.only or strategies()), "full"}}
    names = sorted(name for name, moves in built.items() if not isinstance(moves, Frozen))  # a solved head has no step to be killed in
    rows, failed = known(chosen.into), 0
    for case in [case for case in cases(names) if case not in rows]:
        chance = random.Random(f"{chosen.seed} {case}")  # noqa: S311 - no secret; a case draws the same moments in whichever call it is run
        try:
            with tempfile.TemporaryDirectory() as folder:
                rows[case] = torment(case, built[case.strategy], Path(folder), kills=chosen.kills, chance=chance)
        except RuntimeError:
            traceback.print_exc()
            failed += 1
            continue
        keep(case, rows[case], chosen.into)
        print(case, rows[case], file=sys.stderr, flush=True)
    print(table(rows))
    print(f"\n{len(rows)} configurations, {time.monotonic() - began:.0f} s in this call, {failed} failed by themselves")
    raise SystemExit(bool(failed or any(found.differs for found in rows.values())))


if __name__ == "__main__":
    main()
