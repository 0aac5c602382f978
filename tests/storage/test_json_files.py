"""JSON files say when they are not as they were written."""

import hashlib
import json
import math
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_leaky.storage import DamagedFileError, read_json, read_unverified_json, write_json

CONTENT = {"status": "COMPLETED", "score": 0.9, "values": {"alpha": 0.1, "sha256": []}, "best": 3}
READABLE = pytest.mark.parametrize("readable", [False, True])


def assert_damaged(path, *keys):
    with pytest.raises(DamagedFileError) as caught:
        read_json(path, *keys)
    assert caught.value.path == path
    assert str(caught.value) == f"{path} is damaged: {caught.value.problem}"
    assert "\n" not in str(caught.value)


def assert_all_damaged(path, contents, monkeypatch):
    for data in contents:
        # Not written, which would take most of the time of a test.
        monkeypatch.setattr(Path, "read_bytes", lambda _, data=data: data)
        for keys in ([], [CONTENT.keys()]):
            assert_damaged(path, *keys)


@READABLE
def test_a_change_of_any_byte_is_damage(readable, tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_json(path, CONTENT, readable)
    whole = path.read_bytes()
    assert read_json(path) == read_json(path, CONTENT.keys()) == CONTENT
    changed = [whole[:at] for at in range(len(whole))]
    for at in range(len(whole)):
        before, after = whole[:at], whole[at + 1 :]
        changed += [before + bytes([whole[at] ^ 1 << bit]) + after for bit in range(8)]
        changed += [before + byte + after for byte in (b"", b"\0", b" ", b"\n", b"9", b"}")]
        changed += [before + byte + whole[at:] for byte in (b" ", b"\n", b"0", b",", b'"')]
    changed += [whole[::-1], whole + whole, whole + b" ", whole[:-1] + b',"score":1}']
    changed = {data for data in changed if data != whole}
    assert len(changed) > 15 * len(whole)
    assert_all_damaged(path, changed, monkeypatch)


@READABLE
@pytest.mark.parametrize("n_bytes", [2, 11, 12, 16, 64])
def test_a_region_of_other_bytes_is_damage(readable, n_bytes, tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_json(path, CONTENT, readable)
    whole = path.read_bytes()
    changed = {
        (whole[:at] + byte * n_bytes + whole[at + n_bytes :])[: len(whole)]
        for at in range(len(whole))
        for byte in (b"\0", b"\xff", b"a", b" ")
    }
    assert_all_damaged(path, changed - {whole}, monkeypatch)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "Expecting value"),
        (b"[]", "it does not hold a JSON object"),
        (b"{}", 'it lacks its "sha256"'),
        (b'{"sha256": 1}', "its SHA-256 does not match"),
        (b'{"sha256": null}', "its SHA-256 does not match"),
        (b'{"\\u0073ha256": "a"}', "its SHA-256 does not match"),
        (b'{"a": {"sha256": "b"}}', 'it lacks its "sha256"'),
        (b"\xff\xfe", ""),
        (bytes(4096), ""),
        (b"[" * 100_000, ""),
        (b"9" * 10_000, ""),
        ('{"a": "ä"}'.encode("utf-16"), 'it lacks its "sha256"'),
    ],
)
def test_what_is_no_object_of_ours_is_damage(data, problem, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(DamagedFileError) as caught:
        read_json(path)
    assert caught.value.problem.startswith(problem)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_folder_in_its_place_is_damage_and_no_file_is_not(tmp_path):
    (tmp_path / "folder").mkdir()
    for read in (read_json, read_unverified_json):
        with pytest.raises(DamagedFileError, match="Is a directory"):
            read(tmp_path / "folder")
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "file")


def test_a_file_of_another_program_has_no_other_keys(tmp_path):
    path = tmp_path / "file"
    path.write_text('{"a": 1}')
    assert read_json(path, ["a", "b"]) == {"a": 1}
    for keys in ([["b"]], [[]], []):
        assert_damaged(path, *keys)
    path.write_text("{}")
    assert_damaged(path, ["a"])


def test_a_file_that_was_edited_is_read_where_that_is_asked_for(tmp_path):
    path = tmp_path / "file"
    write_json(path, {"a": 1, "b": 2}, readable=True)
    path.write_text(path.read_text().replace("1", "3"))
    assert read_unverified_json(path) == {"a": 3, "b": 2}
    path.write_text("[]")
    with pytest.raises(DamagedFileError, match="it does not hold a JSON object"):
        read_unverified_json(path)


@READABLE
def test_the_checksum_is_that_of_all_before_it(readable, tmp_path):
    """As docs/guides/run_folder.md says."""
    path = tmp_path / "file"
    write_json(path, {"b": (1, 2.5), "c": {3: None}, "a": "ä"}, readable)
    text = path.read_text()
    before = text[: text.rindex('"sha256"')].rstrip(", \n")
    content = json.loads(text)
    assert content.pop("sha256") == hashlib.sha256((before + "}").encode()).hexdigest()
    assert content == {"b": [1, 2.5], "c": {"3": None}, "a": "ä"} == read_json(path)


@pytest.mark.parametrize(
    "text",
    [
        '{"sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}',
        '{"a":[1,NaN],"b":{},'
        '"sha256":"99131d2075a6ca6435546037e06aec86da24c1d3e3ecafd830bea1bdbbe6bd90"}',
    ],
)
def test_files_of_projects_of_0_1_are_read(text, tmp_path):
    path = tmp_path / "file"
    path.write_text(text)
    content = json.loads(text)
    del content["sha256"]
    assert repr(read_json(path)) == repr(content)
    write_json(path, content)
    assert path.read_text() == text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(deadline=None, max_examples=40)
@given(
    content=st.dictionaries(st.text().filter(lambda key: key != "sha256"), VALUES),
    readable=st.booleans(),
)
def test_what_was_written_is_read(content, readable, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "read-back"
    write_json(path, content, readable)
    assert read_json(path) == read_unverified_json(path) == content


@READABLE
def test_numbers_that_are_not_finite_and_keys_that_are_no_strings_are_kept(readable, tmp_path):
    path = tmp_path / "file"
    write_json(path, {"a": math.nan, "b": [math.inf, -math.inf], 2: "x", None: "y"}, readable)
    content = read_json(path)
    assert math.isnan(content.pop("a"))
    assert content == {"b": [math.inf, -math.inf], "2": "x", "null": "y"}


def test_a_readable_file_has_an_entry_a_line(tmp_path):
    write_json(tmp_path / "file", {"a": 1, "b": {"c": []}}, readable=True)
    lines = (tmp_path / "file").read_text().splitlines()
    assert lines[:5] == ["{", '  "a": 1,', '  "b": {', '    "c": []', "  },"]
    assert lines[5].startswith('  "sha256": "')
    assert lines[6:] == ["}"]
