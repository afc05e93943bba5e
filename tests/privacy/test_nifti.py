# SPDX-License-Identifier: Apache-2.0
import gzip
import io
import struct

import pytest

from medsetu.core.errors import DataError
from medsetu.privacy.nifti import NIFTI1, audit_nifti, is_nifti


def nifti(*, texts=(), extension=b"", order="<", second=False):
    size, offset = (540, 168) if second else (348, 108)
    header = bytearray(size + 4)
    struct.pack_into(f"{order}i", header, 0, size)
    header[4:8] = b"n+2\0" if second else header[4:8]
    for place, text in texts:
        header[place : place + len(text)] = text
    block = b""
    if extension:
        header[size] = 1
        padded = extension + bytes(-(len(extension) + 8) % 16)
        block = struct.pack(f"{order}ii", len(padded) + 8, 6) + padded
    struct.pack_into(f"{order}{'q' if second else 'f'}", header, offset, size + 4 + len(block))
    return bytes(header) + block + bytes(64)


def audited(tmp_path, data):
    path = tmp_path / "a.nii"
    path.write_bytes(data)
    assert is_nifti(data[:1024])
    return audit_nifti(path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("second", [False, True])
def test_headers_without_text_are_clean(tmp_path, order, second):
    assert audited(tmp_path, nifti(order=order, second=second)) == {}


@pytest.mark.parametrize("place", [start for start, _ in NIFTI1.fields])
def test_every_text_field_is_read(tmp_path, place):
    assert audited(tmp_path, nifti(texts=[(place, b"ZZ^SENTI")])) == {"nifti/text": 1, "nifti/looks like name": 1}


@pytest.mark.parametrize("place", [240, 320, 508])
def test_every_text_field_of_the_second_version(tmp_path, place):
    assert audited(tmp_path, nifti(texts=[(place, b"ZZ^SENTI")], second=True))["nifti/text"] == 1


def test_programs_may_sign(tmp_path):
    assert audited(tmp_path, nifti(texts=[(148, b"FSL5.0"), (228, b"none")])) == {}
    assert audited(tmp_path, nifti(texts=[(148, b"FSL5.0 Smt. Devi")]))["nifti/text"] == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_extensions_are_found(tmp_path, order):
    counts = audited(tmp_path, nifti(extension=b"ZZ^SENTINEL 98765 43210", order=order))
    assert counts == {"nifti/extension": 1, "nifti/looks like name": 1, "nifti/looks like mobile": 1}


def test_the_name_in_the_gzip_header(tmp_path):
    buffer = io.BytesIO()
    with gzip.GzipFile("Smt. Devi.nii", "wb", fileobj=buffer) as stream:
        stream.write(nifti())
    assert audited(tmp_path, buffer.getvalue()) == {"nifti/original name": 1, "nifti/looks like name": 1}
    assert audited(tmp_path, gzip.compress(nifti())) == {}


def test_other_files_are_none(tmp_path):
    assert not is_nifti(b"ZZ^SENTINEL" * 90)
    assert not is_nifti(b"\x1f\x8bZZ^SENTINEL")
    (tmp_path / "a.nii").write_bytes(b"ZZ^SENTINEL" * 90)
    with pytest.raises(DataError) as caught:
        audit_nifti(tmp_path / "a.nii")
    assert "SENTINEL" not in str(caught.value)
