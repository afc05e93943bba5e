# SPDX-License-Identifier: Apache-2.0
"""The command line: ``medsetu <verb> key=value ...``; each verb is a Hydra app, imported only when it is called."""

import importlib
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from medsetu import __version__
from medsetu.core.errors import EXIT_CODES, ConfigError, MedsetuError, nearest
from medsetu.core.place import config_folder

VERBS: dict[str, str] = {
    "catalog": "list, search or show the releases or the weights (kind=weights) we know, and what they may be used for",
    "fetch": "bring an open release into its folder, checked and unpacked; for any other, print the steps to it",
    "prepare": "index the releases, check every file, find duplicates, freeze the splits",
    "audit": "find what could identify a patient in a folder of any files, by rule and count, never by value",
    "deidentify": "copy a folder without what identifies patients, and audit the copy",
    "train": "train one arm of a recipe with one seed",
    "search": "search values of a recipe's keys that validation prefers; no test is opened",
    "study": "train every arm and seed of a recipe and compare them",
    "evaluate": "evaluate finished runs, or one run on a new release or folder",
    "compare": "compare runs, studies or tables of scores on the same patients: who wins, or what it would take",
    "seal": "freeze the analysis plan of a recipe, under a hash and a date, before its test is opened",
    "shift": "measure, explain and repair the shift of a study, or of any table of scores",
    "monitor": "follow new scores over time against a reference window, with a stated rate of false alarms",
    "reproduce": "check that a run or study is what it says, and derive its numbers again, from predictions or by training again",
    "capsule": "pack a run or study for another team: what reproduces it, no films, no names",
}
_ABOUT_A_FOLDER = ("evaluate", "shift", "reproduce", "capsule")  # verbs whose first plain word is a folder of runs, or a table of scores
_ONE_WORD = {"audit": "folder", "fetch": "name"}  # verbs whose plain word is the value of a key
_OPTIONS = ("--cfg", "-c", "--info", "-i", "--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--package", "-p")
_CATALOG_WORD = re.compile(
    r"(action|kind|name|text|region|country|modality|body_part|use|access|format|patient_ids|export|json)=([\w .+/~-]*|'[^'\\]*')"
)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one verb and leave with the exit code of the documented table.

    Args:
        argv: Words after the program name; those of the process when None.

    Raises:
        SystemExit: Always.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads starve each other where a core is shared
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products, read when CUDA starts
    try:
        _dispatch(words)
    except MedsetuError as error:
        _complain(str(error))
        raise SystemExit(error.exit_code) from (error if _debugging() else None)
    except KeyboardInterrupt:
        _complain("Interrupted. Finished work is kept. Start the same command again to resume.")
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    raise SystemExit(0)


def _dispatch(words: list[str]) -> None:
    if not words or words[0] in ("-h", "--help", "help"):
        _say(_usage())
    elif words[0] in ("-V", "--version"):
        _say(f"medsetu {__version__}")
    elif words[0] in ("-sc", "--shell-completion", "--shell_completion"):
        _complete(words)
    elif words[0] in VERBS:
        _run(words[0], words[1:])
    else:
        guess = nearest(words[0], VERBS)
        raise ConfigError(
            what=f"There is no verb '{words[0]}'", where="Command line", value=words[0] if guess else None, allowed=list(VERBS)
        )


def _run(verb: str, words: list[str]) -> None:
    """Hand the words to Hydra, with the verb's own config as the primary one.

    The catalogue answers plain ``key=value`` words by itself: importing Hydra would take longer than the answer.
    """
    if verb == "catalog":
        words = _shelved(words)
    if verb == "catalog" and all(_CATALOG_WORD.fullmatch(word) for word in words):
        from medsetu.experiment import catalog

        catalog.main({key: value.strip("'") for key, value in (word.split("=", 1) for word in words)})
        return
    from medsetu.recipe.app import run_verb

    if verb in _ABOUT_A_FOLDER:
        words = [_keyed(word) for word in words]
    elif verb == "compare":
        words = _gathered(words)
    elif verb == "prepare":
        from medsetu.recipe.shorthand import release_words

        words = release_words(words, folder=config_folder())
    elif verb in _ONE_WORD:
        words = [f"{_ONE_WORD[verb]}={_quoted(word)}" if _plain(word) else word for word in words]
        words = [f"name={word.removeprefix('release=')}" if verb == "fetch" and word.startswith("release=") else word for word in words]

    def task(config: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever the verb returns; Hydra's sweepers read numbers
        module = importlib.import_module(f"medsetu.experiment.{verb}")
        return module.main(config)

    run_verb(verb, words, task=task, folder=config_folder())


def _shelved(words: list[str]) -> list[str]:
    """Give the plain words of the catalogue their keys: ``show nitrd`` is ``action=show name=nitrd``, other words are searched for."""
    words = ["json=true" if word == "--json" else word for word in words]
    plain = [word for index, word in enumerate(words) if _plain(word) and (index == 0 or words[index - 1] not in _OPTIONS)]
    if not plain:
        return words
    action, rest = (plain[0], plain[1:]) if plain[0] in ("list", "show", "search") else ("search", plain)
    key = "name" if action == "show" else "text"
    keyed = [f"action={action}", *([f"{key}={_quoted(' '.join(rest))}"] if rest else [])]
    return [*keyed, *[word for word in words if word not in plain]]


def _keyed(word: str) -> str:
    """Give a plain word its key: ``runs/demo`` is ``run=...``, ``scores.csv`` is ``scores=...``."""
    if not _plain(word):
        return word
    return f"scores={_quoted(word)}" if word.lower().endswith((".csv", ".parquet")) else f"run={_quoted(word)}"


def _gathered(words: list[str]) -> list[str]:
    """Gather all plain words under one key: ``a b`` is ``inputs=['a','b']``; the value of an option such as ``--cfg`` stays where it is."""
    plain, others, option = [], [], False
    for word in words:
        if _plain(word) and not option:
            plain.append(_quoted(word))
        else:
            others.append(word)
        option = word in _OPTIONS
    return [*([f"inputs=[{','.join(plain)}]"] if plain else []), *others]


def _plain(word: str) -> bool:
    return "=" not in word and not word.startswith(("-", "+", "~"))


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _complete(words: list[str]) -> None:
    """Answer the shell: verbs first, then Hydra's completion of the verb's own keys."""
    line = os.environ.get("COMP_LINE", "")
    typed = line.split()[1:]
    if any(word.startswith("query") for word in words) and (not typed or (typed[0] not in VERBS and not line.endswith(" "))):
        _say(" ".join(verb for verb in VERBS if verb.startswith(typed[0] if typed else "")))
        return
    verb = typed[0] if typed and typed[0] in VERBS else "train"
    os.environ["COMP_LINE"] = line.replace(f" {verb}", "", 1)
    _run(verb, words)


def _usage() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {text}" for verb, text in VERBS.items())
    codes = "\n".join(f"  {code:>3}  {text}" for code, text in EXIT_CODES.items())
    return (
        "medsetu: from global data to local patients\n\n"
        "  medsetu <verb> key=value ...\n  medsetu evaluate|shift|reproduce|capsule FOLDER key=value ...\n"
        "  medsetu compare FOLDER ... key=value ...\n  medsetu audit FOLDER key=value ...\n"
        "  medsetu prepare release=NAME root=FOLDER key=value ...\n"
        "  medsetu fetch RELEASE key=value ...\n"
        "  medsetu catalog [list|show NAME|search WORDS] key=value ...\n\n"
        f"Verbs\n{verbs}\n\n"
        "Every verb is a Hydra app: --cfg job, --info defaults, --multirun, --config-dir FOLDER (your own recipes), --help.\n"
        'Tab completion: eval "$(medsetu -sc install=bash)"\n\n'
        "Try: medsetu study recipe=demo\n\n"
        f"Exit codes\n{codes}"
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")


def _debugging() -> bool:
    return os.environ.get("MEDSETU_DEBUG", "") not in ("", "0")
