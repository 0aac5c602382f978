"""What `load_model` does with files that somebody made to do harm.

Each is refused with a sentence, in little memory, and nothing of it happens.
"""

import json
import os
import re
import stat
import struct
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest

from keras_leaky import load_model

MB = 1 << 20
both_formats = pytest.mark.parametrize("suffix", [".keras", ".h5"])


@pytest.fixture
def honest(tmp_path):
    """A function that saves a small model, and one that reads the members of its archive."""

    def make(suffix=".keras", layer=None):
        inputs = keras.Input((3,))
        layer = layer or keras.layers.Dense(2, name="d")
        path = tmp_path / f"model{suffix}"
        keras.Model(inputs, layer(inputs)).save(path)
        return path

    return make


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, members, packing=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in members.items():
            if isinstance(content, int):  # so many zeros, never in memory
                with archive.open(name, "w") as member:
                    for _ in range(content // MB):
                        member.write(bytes(MB))
            else:
                archive.writestr(name, content)
    return path


def with_config(path, config):
    """The model file at `path` with another config: text, or a function that changes the JSON."""

    def change(text):
        return json.dumps(config(json.loads(text))) if callable(config) else config

    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = change(file.attrs["model_config"])
        return path
    members = members_of(path)
    return write(path, members | {"config.json": change(members["config.json"])})


def with_weights(path, edit):
    """The `.keras` or `.h5` file at `path` after `edit(file, name of the kernel)` in its HDF5."""
    if path.suffix == ".h5":
        inner, kernel = path, "model_weights/d/d/kernel"
    else:
        inner, kernel = path.with_suffix(".weights"), "layers/dense/vars/0"
        members = members_of(path)
        inner.write_bytes(members["model.weights.h5"])
    with h5py.File(inner, "r+") as file:
        assert kernel in file
        edit(file, kernel)
    if inner != path:
        write(path, members | {"model.weights.h5": inner.read_bytes()})
    return path


def refuse(path, reason, **options):
    with pytest.raises(ValueError, match=re.escape(str(path))) as error:
        load_model(path, **options)
    assert re.search(reason, str(error.value)), str(error.value)
    return str(error.value)


UNSAFE = r" was not loaded: {}\. Keras does not save such files: take the model from a source"


class TestCode:
    """Nothing that a config names is called, but for what models are made of."""

    @both_formats
    def test_lambda_does_not_run(self, suffix, honest, tmp_path):
        canary = str(tmp_path / "canary")
        layer = keras.layers.Lambda(
            lambda x, path: (open(path, "w").close(), x)[1], arguments={"path": canary}
        )
        path = honest(suffix, layer)
        assert os.path.exists(canary)  # it does what it is meant to
        os.remove(canary)
        refuse(path, "holds a Python lambda, and loading one runs the code in it")
        assert not os.path.exists(canary)
        load_model(path, safe_mode=False)
        assert os.path.exists(canary)

    def test_lambda_in_the_words_of_keras_2(self, honest, tmp_path):
        def change(config):
            layer = config["config"]["layers"][1]
            inner = layer["config"]["function"].pop("config")
            code = [inner["code"], inner["defaults"], inner["closure"]]
            layer["config"] |= {"function": code, "function_type": "lambda"}
            return config

        path = honest(".h5", keras.layers.Lambda(lambda x: 2 * x))
        refuse(with_config(path, change), "holds a Python lambda")

    @both_formats
    @pytest.mark.parametrize(
        ("module", "name"),
        [
            ("os", "system"),
            ("subprocess", "Popen"),
            ("builtins", "eval"),
            ("importlib.util", "find_spec"),
            ("keras.config", "enable_unsafe_deserialization"),
            ("keras.config", "set_floatx"),
            ("keras.saving", "KerasFileEditor"),
            ("keras.utils", "get_file"),
            ("keras", "utils.get_file"),
            ("keras.datasets.mnist", "load_data"),
        ],
    )
    def test_functions_that_are_no_part_of_a_model(self, suffix, module, name, honest):
        def change(config):
            config["config"]["layers"][1]["config"]["function"] = function
            return config

        reason = UNSAFE.format(rf"it names {module}\.{name}, which is not part of a model")
        for kind in ("function", "plain"):
            function = {"class_name": "function", "config": name, "module": module}
            if kind == "plain" and name[0].islower():
                function = {"class_name": name, "config": {}, "module": module}
            path = honest(suffix, keras.layers.Lambda(keras.ops.relu))
            refuse(with_config(path, change), reason)

    def test_keras_alone_calls_what_a_file_names(self, honest):
        """Why the names are looked at here: safe mode of Keras stops at a list."""

        def change(config):
            layer = config["config"]["layers"][1]
            function = {"class_name": "function", "config": "set_epsilon", "module": "keras.config"}
            layer["config"]["function"] = function
            layer["inbound_nodes"][0]["args"] = []
            layer["inbound_nodes"][0]["kwargs"] = {"inputs": 0.125}
            return config

        before = keras.config.epsilon()
        path = with_config(honest(layer=keras.layers.Lambda(keras.ops.relu)), change)
        refuse(path, "it names keras.config.set_epsilon")
        assert keras.config.epsilon() == before
        try:
            with pytest.raises(Exception, match=r"."):
                keras.saving.load_model(path)
            assert keras.config.epsilon() == 0.125
        finally:
            keras.config.set_epsilon(before)

    @both_formats
    def test_classes_of_the_standard_library(self, suffix, honest):
        def change(config):
            config["config"]["layers"][1] |= {"class_name": "Popen", "module": "subprocess"}
            config["config"]["layers"][1].pop("registered_name", None)
            return config

        refuse(with_config(honest(suffix), change), r"it names subprocess\.Popen")

    @both_formats
    def test_functions_of_models_stay(self, suffix, honest):
        for function in (keras.activations.tanh, keras.activations.gelu):
            model = load_model(honest(suffix, keras.layers.Lambda(function)))
            assert model.layers[1].function is function

    @both_formats
    def test_the_input_of_a_pretrained_net_is_a_part_of_a_model(self, suffix, honest):
        def change(config):
            config["config"]["layers"][1]["config"]["function"] = {
                "class_name": "function",
                "config": "preprocess_input",
                "module": "keras.applications.mobilenet_v2",
            }
            return config

        path = with_config(honest(suffix, keras.layers.Lambda(keras.ops.relu)), change)
        function = load_model(path).layers[1].function
        assert function is keras.applications.mobilenet_v2.preprocess_input

    def test_ones_own_function_may_have_any_name(self, honest):
        def system(x):
            return 2 * x

        path = honest(layer=keras.layers.Dense(2, activation=system))
        model = load_model(path, custom_objects={"system": system})
        assert model.layers[1].activation is system

    @both_formats
    def test_programs_in_other_folders(self, suffix, honest, tmp_path):
        def change(config):
            layer = config["config"]["layers"][1]
            layer |= {"class_name": "TFSMLayer", "registered_name": None}
            layer["config"] = {"filepath": str(tmp_path / "other")}
            return config

        path = with_config(honest(suffix), change)
        refuse(path, "holds a layer `TFSMLayer`, which runs a program from a folder. If you")

    def test_vocabularies_in_other_files(self, tmp_path):
        (tmp_path / "secret").write_text("a\nb\n")
        layer = keras.layers.StringLookup(vocabulary=["a", "b"], name="lookup")
        path = tmp_path / "model.keras"
        keras.Sequential([keras.Input((1,), dtype="string"), layer]).save(path)

        def change(config):
            config["config"]["layers"][1]["config"]["vocabulary"] = str(tmp_path / "secret")
            return config

        refuse(
            with_config(path, change),
            "needs something that safe mode refuses: Requested the loading",
        )

    def test_names_that_are_no_text(self, honest):
        def change(config):
            config["config"]["layers"][1]["module"] = ["keras"]
            return config

        refuse(with_config(honest(), change), "its config contains invalid class names")

    def test_pickled_weights(self, honest):
        path = honest()
        members = members_of(path)
        members["model.weights.npz"] = members.pop("model.weights.h5")
        refuse(write(path, members), "its weights are pickled, which Keras does not read either")


class TestArchives:
    @pytest.mark.parametrize(
        "name",
        ["../../evil", "/evil", "assets/../../evil", "..\\evil", "C:evil", "assets//evil", "./a"],
    )
    def test_paths_out_of_the_folder(self, name, honest, tmp_path):
        path = honest()
        write(path, members_of(path) | {name: b"evil", "assets/a": b""})
        shown = re.escape(ascii(name))
        refuse(path, f"its member {shown} would be written outside of the archive's folder")
        assert not list(tmp_path.parent.rglob("*evil*"))

    def test_links(self, honest):
        path = honest()
        with zipfile.ZipFile(path, "a") as archive:
            info = zipfile.ZipInfo("assets/link")
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
        refuse(path, "its member 'assets/link' is a link")

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_two_members_of_one_name(self, honest):
        path = honest()
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("config.json", "{}")
        refuse(path, "two of its members have one name")

    def test_encrypted_members(self, honest):
        path = honest()
        content = bytearray(path.read_bytes())
        at = content.index(b"PK\x01\x02")
        content[at + 8] |= 1
        path.write_bytes(content)
        refuse(path, r"its member '\S+' is encrypted")

    def test_methods_without_a_bound(self, honest):
        path = honest()
        write(path, members_of(path), zipfile.ZIP_BZIP2)
        refuse(path, "is packed in a way that Keras does not use")

    def test_members_that_overlap(self, honest):
        path = honest()
        content = bytearray(path.read_bytes())
        end = content.rindex(b"PK\x05\x06")
        start = content.index(b"PK\x01\x02")
        first = bytes(content[start : start + 46])  # of metadata.json, whose name has 13 letters
        twins = b"".join(first + b"%013d" % i for i in range(1000))
        content[end + 12 : end + 16] = struct.pack("<I", end - start + len(twins))
        path.write_bytes(content[:end] + twins + content[end:])
        refuse(path, "its members overlap or were cut off|the file is damaged or was cut short")

    def test_an_honest_archive_that_was_packed_again_loads(self, honest):
        path = honest()
        expected = load_model(path)(np.ones((1, 3)))
        write(path, members_of(path), zipfile.ZIP_DEFLATED)
        np.testing.assert_array_equal(load_model(path)(np.ones((1, 3))), expected)
        with zipfile.ZipFile(path) as archive:  # and stays as it was
            assert archive.infolist()[0].compress_type == zipfile.ZIP_DEFLATED

    def test_assets_are_left_alone(self, tmp_path):
        layer = keras.layers.StringLookup(vocabulary=["a", "b"])
        model = keras.Sequential([keras.Input((1,), dtype="string"), layer])
        model.save(tmp_path / "model.keras")
        again = load_model(tmp_path / "model.keras")
        assert again.layers[0].get_vocabulary() == ["[UNK]", "a", "b"]


def external_link(file, kernel):
    del file[kernel]
    file[kernel] = h5py.ExternalLink("/tmp/other.h5", "secret")


def soft_link(file, kernel):
    del file[kernel]
    file[kernel] = h5py.SoftLink("/elsewhere")


def raw_file(file, kernel):
    del file[kernel]
    file.create_dataset(kernel, (3, 2), "uint8", external=[("/etc/passwd", 0, 6)])


def virtual(file, kernel):
    del file[kernel]
    layout = h5py.VirtualLayout((3, 2), "float32")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "secret", (3, 2))
    file.create_virtual_dataset(kernel, layout)


def texts(file, kernel):
    del file[kernel]
    file.create_dataset(kernel, data=["a"] * 6)


def records(file, kernel):
    del file[kernel]
    file.create_dataset(kernel, data=np.zeros(3, [("a", "f4")]))


def nothing(file, kernel):
    del file[kernel]
    file[kernel] = h5py.Empty("f4")


class TestWeights:
    @both_formats
    @pytest.mark.parametrize(
        ("edit", "reason"),
        [
            (external_link, r"it has a link to '/tmp/other\.h5' instead of weights"),
            (soft_link, "it has a link to '/elsewhere' instead of weights"),
            (raw_file, r"its weight '\S+' lies in another file"),
            (virtual, r"its weight '\S+' lies in another file"),
            (texts, r"its weight '\S+' is not an array of numbers"),
            (records, r"its weight '\S+' is not an array of numbers"),
            (nothing, r"its weight '\S+' is not an array of numbers"),
        ],
    )
    def test_weights_that_are_none(self, suffix, edit, reason, honest):
        refuse(with_weights(honest(suffix), edit), UNSAFE.format(reason))

    @pytest.mark.parametrize(
        ("names", "reason"),
        [
            ([b"d", b"d"], "its lists of weights name one of them twice"),
            ([b"d", b"./d"], "its lists of weights contain invalid names"),
            ([[b"d"]], "its 'layer_names' are not a list of names"),
        ],
    )
    def test_lists_of_names(self, names, reason, honest):
        def edit(file, kernel):
            file["model_weights"].attrs["layer_names"] = names

        refuse(with_weights(honest(".h5"), edit), UNSAFE.format(reason))

    def test_names_in_several_lists(self, honest):
        def edit(file, kernel):
            group = file["model_weights"]
            del group.attrs["layer_names"]
            for i in range(2):
                group.attrs[f"layer_names{i}"] = [b"d"]

        refuse(with_weights(honest(".h5"), edit), "name one of them twice")

    @both_formats
    def test_groups_in_a_ring_end(self, suffix, honest):
        def edit(file, kernel):
            file["ring"] = file["/"]

        assert load_model(with_weights(honest(suffix), edit)).layers[1].name == "d"

    def test_unpacked_archives_are_looked_at_too(self, honest, tmp_path):
        path = with_weights(honest(), external_link)
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "folder")
        refuse(tmp_path / "folder", "it has a link to")
        (tmp_path / "folder/model.weights.h5").unlink()
        refuse(tmp_path / "folder", r"the folder lacks config\.json or model\.weights\.h5")

    def test_config_of_a_folder_is_read_within_bounds(self, honest, tmp_path):
        with zipfile.ZipFile(honest()) as archive:
            archive.extractall(tmp_path / "folder")
        with open(tmp_path / "folder/config.json", "a") as file:
            file.truncate(65 * MB)
        refuse(tmp_path / "folder", UNSAFE.format("its config has more than 64 MB .*"))


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "device"])
def test_what_is_no_file(kind, tmp_path):
    path = tmp_path / "model.keras"
    if kind == "device":
        path.symlink_to("/dev/zero")
    else:
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to(tmp_path / "pipe")
    refuse(tmp_path / "pipe" if kind == "pipe" else path, "but it is not a file")


@both_formats
@pytest.mark.parametrize("config", ["1", "[]", '{"class_name": "Sequential"}', "'", '{"a": ['])
def test_configs_that_are_none(suffix, config, honest):
    refuse(with_config(honest(suffix), config), "must be a model|cannot be read")


@pytest.mark.parametrize("training", [True, 5, "adam", [1]], ids=repr)
def test_ways_to_compile_that_are_none(training, honest):
    def change(config):
        return config | {"compile_config": training}

    refuse(with_config(honest(), change), "cannot be compiled with its saved|cannot be read")


@both_formats
@pytest.mark.parametrize("layers", [5, [5], {"a": 1}, [{"class_name": "Dense"}], [[[]]]], ids=repr)
def test_layers_that_are_none(suffix, layers, honest):
    def change(config):
        config["config"]["layers"] = layers
        return config

    refuse(with_config(honest(suffix), change), "must be a model|cannot be read")


def test_an_error_of_ones_own_class_stays_what_it_is(honest):
    class Broken(keras.layers.Dense):
        @classmethod
        def from_config(cls, config):
            raise LookupError("a bug")

    path = honest(layer=Broken(2))
    with pytest.raises(LookupError, match="a bug"):
        load_model(path, custom_objects={"Broken": Broken})


BOMBS = (
    'import os, sys\nos.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"\n'
    + """
from keras_leaky import load_model

def memory(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

load_model(sys.argv[1])
load_model(sys.argv[2])
for path in sys.argv[3:]:
    open("/proc/self/clear_refs", "w").write("5")  # the peak starts again from here
    before = memory("VmRSS")
    try:
        load_model(path)
        print(path, "LOADED", 0, sep="|")
    except ValueError as error:
        print(path, str(error).replace("|", ""), memory("VmHWM") - before, sep="|")
"""
)


def deep(opening):
    return '{"class_name": "Sequential", "config": ' + opening * 100_000


def declared(file, kernel):
    del file[kernel]
    file.create_dataset(kernel, (1 << 19, 1 << 20), "f4", chunks=(1024, 1024), compression="gzip")


def never_written(file, kernel):
    del file[kernel]
    file.create_dataset(kernel, (1 << 15, 1 << 15), "f4")


def one_chunk(file, kernel):
    del file[kernel]
    size = 200 * MB
    file.create_dataset(kernel, (1,), "f4", maxshape=(None,), chunks=(size,), compression="gzip")


def many_names(file, kernel):
    file["model_weights/d/d/big"] = np.zeros(MB // 4, "f4")
    for i in range(1000):
        file[f"model_weights/d/d/big{i}"] = file["model_weights/d/d/big"]
    names = [f"d/big{i}".encode() for i in range(1000)]
    file["model_weights/d"].attrs["weight_names"] = names


def lying(path, members):
    """The weights unpack to 512 MB; the directory of the zip says 1,000 bytes."""
    write(path, members | {"model.weights.h5": 512 * MB}, zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    at = content.rindex(b"model.weights.h5") - 46 + 24
    assert content[at : at + 4] == struct.pack("<I", 512 * MB)
    content[at : at + 4] = struct.pack("<I", 1000)
    path.write_bytes(content)


def crowded(path):
    """A directory of 20 MB."""
    name = b"a" * 60_000
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *[0] * 9, len(name), *[0] * 6) + name
    start = path.read_bytes()[:100]
    n = 350
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, n, n, n * len(entry), len(start), 0)
    path.write_bytes(start + n * entry + end)


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="measures on Linux alone")
def test_bombs_stay_within_a_bound(honest, tmp_path):
    members = members_of(honest())
    honest(".h5").rename(tmp_path / "honest.h5")
    honest().rename(tmp_path / "honest.keras")
    expected = {}

    def bomb(name, reason):
        expected[str(tmp_path / name)] = reason
        return tmp_path / name

    def archive(name, reason, packing=zipfile.ZIP_DEFLATED, **changed):
        new = {key.replace("_", "."): value for key, value in changed.items()}
        write(bomb(name + ".keras", reason), members | new, packing)

    archive("zeros", "would unpack to 536,870,912 bytes", model_weights_h5=512 * MB)
    archive("config", "would unpack to 536,870,912 bytes", config_json=512 * MB)
    spaces = {"config_json": b" " * (65 * MB)}
    archive("spaces", "more than 64 MB", zipfile.ZIP_STORED, **spaces)
    archive("dicts", "a million lists", zipfile.ZIP_STORED, config_json="[" + "{}," * 3_000_000)
    archive("lists", "damaged", config_json=deep("["))
    archive("nested", "damaged", config_json=deep('{"a": '))
    lying(bomb("lying.keras", "damaged or was cut short"), members)
    honest().rename(tmp_path / "crowded.keras")
    crowded(bomb("crowded.keras", "damaged or was cut short"))
    for edit in (declared, never_written, one_chunk):
        for suffix in (".keras", ".h5"):
            path = with_weights(honest(suffix), edit)
            path.rename(bomb(edit.__name__ + suffix, "would unpack to"))
    path = with_weights(honest(".h5"), many_names)
    path.rename(bomb("many_names.h5", "its weights would take more than"))

    files = [tmp_path / "honest.h5", tmp_path / "honest.keras", *expected]
    command = [sys.executable, "-c", BOMBS, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    lines = [line.split("|") for line in done.stdout.splitlines() if "|" in line]
    assert {path for path, _, _ in lines} == set(expected), done.stderr[-2000:]
    for path, message, growth in lines:
        assert re.search(expected[path], message), message
        print(f"{os.path.basename(path):24} {float(growth):7.1f} MB  {message[len(path) :][:90]}")
    # The config of 65 MB of JSON is the largest that is read at all.
    assert sum(float(growth) for *_, growth in lines) < 200
