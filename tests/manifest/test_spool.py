# SPDX-License-Identifier: Apache-2.0
import errno
import gc

import numpy as np
import pytest

from medsetu.core.errors import ResourceError
from medsetu.manifest import spool as spool_module
from medsetu.manifest.scan import Record
from medsetu.manifest.spool import FACTS, Spool


def record(number, **options):
    small = np.full((32, 32), number, dtype=np.float16).tobytes()
    facts = {"file_format": "png", "height": number, "width": 7, "bits": 8, "file_bytes": 99, "color_mode": "L", "sex": "F"}
    return Record(f"k{number}", f"r/{number}", sha256=f"{number:064x}", phash="0" * 16, thumbnail=small, facts=facts, **options)


@pytest.mark.parametrize("part", [1, 3, 100])
def test_what_came_in_any_order_is_given_in_the_order_of_rows(tmp_path, monkeypatch, part):
    monkeypatch.setattr(spool_module, "PART", part)
    spool = Spool(tmp_path)
    order = [4, 0, 3, 1, 2]
    for row in order:
        spool.add([row], [record(row)] if row != 3 else [Record("", "r/3", reason="broken")])
    table = spool.table()
    assert list(table.columns) == ["reason", "sha256", "phash", *FACTS]
    assert table["height"].tolist() == [0, 1, 2, 0, 4]
    assert table["reason"].tolist() == ["", "", "", "broken", ""]
    assert table["sex"].tolist() == ["F", "F", "F", "", "F"]
    assert np.isnan(table["spacing_mm"]).all()
    pictures = spool.pictures()
    assert len(pictures) == 4
    assert pictures[np.array([3, 0, 0])][:, 5, 5].tolist() == [4, 0, 0]
    assert pictures[np.empty(0, dtype=np.intp)].shape == (0, 32, 32)


def test_nothing_gives_an_empty_table(tmp_path):
    spool = Spool(tmp_path)
    table = spool.table()
    assert (len(table), len(spool.pictures())) == (0, 0)
    assert str(table["height"].dtype) == "int64"


def test_the_file_has_no_name_and_goes_with_the_spool(tmp_path):
    spool = Spool(tmp_path / "scan")
    spool.add([0], [record(0)])
    spool.table()
    pictures, file = spool.pictures(), spool._file
    del spool
    gc.collect()
    assert pictures[np.array([0])].shape == (1, 32, 32)
    assert list((tmp_path / "scan").iterdir()) == []
    del pictures
    gc.collect()
    assert file.closed


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    class Full:
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            pass

    monkeypatch.setattr(spool_module.tempfile, "TemporaryFile", lambda **options: Full())
    with pytest.raises(ResourceError, match="No space left"):
        Spool(tmp_path).add([0], [record(0)])


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ResourceError, match="could not be kept"):
        Spool(tmp_path / "file")
