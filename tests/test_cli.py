# SPDX-License-Identifier: Apache-2.0
"""The command line as a person meets it: help, codes, completion, mistakes."""

import json
import logging
import os
import resource
import subprocess
import sys

import pytest

from fakes import nitrd
from medsetu import __version__, cli
from medsetu.core.errors import EXIT_CODES
from medsetu.core.place import config_folder

CPU_LIMIT_S = 0.5


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def say(capfd):
    """Run one command in this process; (exit code, stdout, stderr)."""
    handlers = list(logging.root.handlers)

    def run(*words):
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main(list(words))
        logging.root.handlers = list(handlers)  # `--info` gives Hydra one that holds this test's stdout
        out, err = capfd.readouterr()
        return left.value.code, out, err

    return run


@pytest.fixture
def complete(say, monkeypatch):
    """What a shell would offer for a line."""

    def run(line):
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setenv("COMP_POINT", str(len(line)))
        code, out, err = say("-sc", "query=bash")
        assert (code, err) == (0, "")
        return out.split()

    return run


def process(*words, code=None):
    command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "medsetu", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("words", [(), ("-h",), ("--help",), ("help",)])
def test_help_names_every_verb_and_every_exit_code(say, words):
    code, out, err = say(*words)
    assert (code, err) == (0, "")
    assert all(f"  {verb} " in out for verb in cli.VERBS)
    assert all(f"{number:>3}  {text}" in out for number, text in EXIT_CODES.items())


def test_version(say):
    assert say("--version") == (0, f"medsetu {__version__}\n", "")


def test_every_verb_is_a_module_of_experiment_and_has_a_config():
    for verb in cli.VERBS:
        assert (config_folder() / f"{verb}.yaml").is_file()
        assert (config_folder().parent / "src/medsetu/experiment" / f"{verb}.py").is_file()


def test_an_unknown_verb_offers_the_nearest(say):
    code, out, err = say("trian")
    assert (code, out) == (2, "")
    assert "Did you mean 'train'?" in err


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (("train", "backbone.siz=3"), "'size'"),
        (("study", "recipe=dmo"), "'demo'"),
        (("prepare", "manifst.val=0.2"), "'manifest'"),
        (("evaluate", "otput=x"), "'output'"),
        (("catalog", "nam=nitrd"), "'name'"),
    ],
)
def test_a_misspelt_key_offers_the_nearest(say, words, nearest):
    code, out, err = say(*words)
    assert (code, out) == (2, "")
    assert f"Did you mean {nearest}?" in err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1


def test_a_misspelt_key_in_a_process_of_its_own():
    done = process("train", "backbone.siz=3")
    assert done.returncode == 2
    assert "Did you mean 'size'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_job_is_printed_before_it_runs(say, tmp_path):
    code, out, _ = say("train", "seed=7", "--cfg", "job")
    assert code == 0
    assert "\nseed: 7\n" in out
    assert "_target_: medsetu.backbone.zoo.TimmBackbone" in out
    assert list(tmp_path.iterdir()) == []


def test_the_defaults_are_listed(say):
    code, out, _ = say("train", "--info", "defaults")
    assert code == 0
    lines = [line for line in out.splitlines() if "|" in line]
    names = [line.split("|")[1].strip() for line in lines]
    assert names.index("train") < names.index("recipe/demo")


def test_a_release_alone_is_prepared_by_its_name(say, tmp_path):
    root = nitrd.write(tmp_path / "films", per_class=3)
    code, out, err = say("prepare", "release=nitrd", f"root={root}", "side=external", "workers=1")
    assert (code, err) == (0, "")
    assert "external  nitrd" in out
    assert (tmp_path / "runs" / "work" / "manifest" / "nitrd" / "manifest.parquet").is_file()


def test_help_of_a_verb(say):
    code, out, _ = say("train", "--help")
    assert code == 0
    assert "recipe: " in out


def test_a_folder_of_the_users_own_recipes(say, tmp_path):
    own = tmp_path / "mine" / "recipe"
    own.mkdir(parents=True)
    (own / "district.yaml").write_text("# @package _global_\ndefaults:\n  - demo\n  - _self_\nname: district\nsplit_seed: 12\n")
    code, out, err = say("study", "--config-dir", str(own.parent), "recipe=district", "--cfg", "job")
    assert (code, err) == (0, "")
    assert "name: district\n" in out
    assert "split_seed: 12\n" in out


def test_a_config_folder_that_is_not_there(say):
    code, _, err = say("study", "--config-dir", "nowhere")
    assert code == 2
    assert "--config-dir" in err


def test_completion_of_verbs(complete):
    assert complete("medsetu tr") == ["train"]
    assert complete("medsetu ") == list(cli.VERBS)


def test_completion_of_recipes(complete):
    recipes = sorted(path.stem for path in (config_folder() / "recipe").glob("*.yaml"))
    assert complete("medsetu train recipe=") == [f"recipe={name}" for name in recipes]
    assert complete("medsetu study recipe=tb_g") == ["recipe=tb_global_to_india"]


def test_completion_of_keys(complete):
    assert "backbone.size=" in complete("medsetu train backbone.s")
    assert "name=" in complete("medsetu catalog na")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["list", "region=india"], {"action": "list", "region": "india"}),
        (["show", "nitrd", "--json"], {"action": "show", "name": "nitrd", "json": "true"}),
        (["search", "head", "CT"], {"action": "search", "text": "head CT"}),
        (["tuberculosis", "country=china"], {"action": "search", "text": "tuberculosis", "country": "china"}),
        (["format=nii.gz", "export=a folder/x"], {"format": "nii.gz", "export": "a folder/x"}),
        ([], {}),
    ],
)
def test_plain_words_of_the_catalogue_get_their_keys(monkeypatch, words, expected):
    seen = []
    monkeypatch.setattr("medsetu.experiment.catalog.main", seen.append)
    with pytest.raises(SystemExit) as left:
        cli.main(["catalog", *words])
    assert left.value.code == 0
    assert seen == [expected]


def test_plain_words_of_the_catalogue_also_go_by_way_of_hydra(say):
    code, out, _ = say("catalog", "search", "head", "CT", "--cfg", "job")
    assert code == 0
    assert "action: search" in out
    assert "text: head CT" in out
    code, out, err = say("catalog", "show", "nitrdd")
    assert (code, out) == (2, "")
    assert "Did you mean 'nitrd" in err


def test_the_catalogue_lists_and_filters(say):
    code, out, _ = say("catalog", "name=nitrd")
    assert code == 0
    assert "NITRD" in out
    code, out, _ = say("catalog", "region=india")
    assert code == 0
    assert "nitrd" in out
    assert "nih_chestxray14" not in out


def test_an_interrupt_is_130_and_says_how_to_go_on(say, monkeypatch):
    def interrupted(words):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_dispatch", interrupted)
    code, _, err = say("study")
    assert code == 130
    assert "resume" in err


def test_a_reader_that_leaves_early_is_no_fault():
    code = "import sys\nfrom medsetu import cli\ndef gone(words):\n    raise BrokenPipeError\ncli._dispatch = gone\ncli.main(['catalog'])\n"
    done = process(code=code)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fault_of_our_own_is_1():
    done = process(code="from medsetu import cli\ndef fail(words):\n    raise RuntimeError('x')\ncli._dispatch = fail\ncli.main([])\n")
    assert done.returncode == 1
    assert "RuntimeError" in done.stderr


@pytest.mark.parametrize("words", [["catalog"], ["--help"], ["--version"]], ids=" ".join)
def test_answers_come_without_the_heavy_libraries(words):
    code = (
        "import json, sys\nfrom medsetu import cli\n"
        f"try:\n    cli.main({words!r})\nexcept SystemExit as left:\n    assert left.code == 0\n"
        "sys.stderr.write(json.dumps(sorted(sys.modules)))\n"
    )
    loaded = set(json.loads(process(code=code).stderr))
    assert "medsetu.core.errors" in loaded
    assert not loaded & {"torch", "pandas", "numpy", "scipy", "hydra", "omegaconf", "monai", "pytorch_lightning", "matplotlib", "wandb"}


@pytest.mark.parametrize("words", [["catalog"], ["--help"]], ids=" ".join)
def test_answers_use_less_than_half_a_second_of_cpu(words):
    def used():
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return spent.ru_utime + spent.ru_stime

    seconds = []
    for _ in range(3):
        before = used()
        subprocess.run([sys.executable, "-m", "medsetu", *words], capture_output=True, check=True, env=os.environ)
        seconds.append(used() - before)
    assert min(seconds) < CPU_LIMIT_S


@pytest.mark.parametrize(
    ("word", "keyed"),
    [
        ("runs/demo", "run='runs/demo'"),
        ("a table.CSV", "scores='a table.CSV'"),
        ("scores=x.csv", "scores=x.csv"),
        ("--cfg", "--cfg"),
        ("it's", r"run='it\'s'"),
    ],
)
def test_a_plain_word_is_a_folder_of_runs_or_a_table_of_scores(word, keyed):
    assert cli._keyed(word) == keyed


@pytest.mark.parametrize(
    ("words", "gathered"),
    [
        (["runs/a", "b.csv", "margin=0.1"], ["inputs=['runs/a','b.csv']", "margin=0.1"]),
        (["it's", "--cfg", "job"], [r"inputs=['it\'s']", "--cfg", "job"]),
        (["inputs=[a]"], ["inputs=[a]"]),
        ([], []),
    ],
)
def test_plain_words_are_gathered_for_a_comparison(words, gathered):
    assert cli._gathered(words) == gathered


def test_completion_of_a_comparison(complete):
    assert "reference=" in complete("medsetu compare ref")
