"""Names of models and files, and which file a name means."""

from __future__ import annotations

from pathlib import Path

import pytest

from palaver.core.errors import UserError
from palaver.engines import hub, hub_names


@pytest.mark.parametrize(
    ("file", "label"),
    [
        ("Qwen3-0.6B-Q8_0.gguf", "Q8_0"),
        ("qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf", "Q4_K_M"),
        ("Meta-Llama-3.1-8B.IQ2_XXS.gguf", "IQ2_XXS"),
        ("gemma-3-4b-it-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("BF16/model-BF16-00001-of-00003.gguf", "BF16"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("model-f16.gguf", "F16"),
        ("Q4_0/weights.gguf", "Q4_0"),
        ("tinyllama.gguf", "tinyllama"),
        ("m-TQ1_0.gguf", "TQ1_0"),
        ("m-IQ4_NL.gguf", "IQ4_NL"),
        ("m-Q3_K_S.gguf", "Q3_K_S"),
    ],
)
def test_labels(file: str, label: str) -> None:
    assert hub_names.label(file) == label


def test_names_are_parsed_or_refused() -> None:
    assert hub_names.parse("org/m") == hub_names.Name("org/m")
    assert hub_names.parse("org/m-GGUF:q4_k_m") == hub_names.Name("org/m-GGUF", "q4_k_m")
    for text in (
        "m",
        "a/b/c",
        "../m",
        "org/..",
        "/m",
        "org/",
        "org/m:",
        "org/m:a b",
        "-x/y",
        "a\nb/c",
    ):
        assert hub_names.parse(text) is None, text


def test_parts_stand_together_and_odd_files_are_passed_over() -> None:
    files = [
        "m-Q4_K_M-00002-of-00002.gguf", "m-Q4_K_M-00001-of-00002.gguf", "mmproj-m-f16.gguf",
        "m-Q8_0-00001-of-00003.gguf", "../../etc/m-Q2_K.gguf", "README.md", "/abs-Q2_K.gguf",
        "x\x1b[2J-Q5_0.gguf", ".hidden/m-Q2_K.gguf", "m.imatrix.gguf", "m-F16.gguf",
    ]  # fmt: skip
    found = hub_names.choices(files)
    assert [(c.label, len(c.files)) for c in found] == [("F16", 1), ("Q4_K_M", 2)]
    assert found[1].files[0].endswith("00001-of-00002.gguf")


def test_the_usual_choice_and_the_one_asked_for() -> None:
    found = hub_names.choices(["m-F16.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf"])
    assert hub_names.choose(found, None, "org/m").label == "Q4_K_M"
    assert hub_names.choose(found, "q8_0", "org/m").files == ("m-Q8_0.gguf",)
    assert hub_names.choose(found, "m-F16.gguf", "org/m").label == "F16"
    assert hub_names.choose(found[:1], None, "org/m").label == "F16"
    with pytest.raises(UserError, match="F16, Q4_K_M, Q8_0"):
        hub_names.choose(found, "Q2_K", "org/m")
    with pytest.raises(UserError, match="no GGUF"):
        hub_names.choose([], None, "org/m")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    for name in (
        "org/Qwen-7B-GGUF/qwen-7b-Q4_K_M.gguf",
        "org/Qwen-7B-GGUF/qwen-7b-Q8_0.gguf",
        "org/Big-GGUF/big-Q4_0-00001-of-00002.gguf",
        "org/Big-GGUF/big-Q4_0-00002-of-00002.gguf",
        "org/Big-GGUF/big-Q4_0-00001-of-00002.gguf.0123.partial",
        "mine-Q5_0.gguf",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"GGUF")
    return folder


def test_lists_what_is_there(models: Path) -> None:
    assert [(m.name, len(m.files), m.bytes) for m in hub.installed(models)] == [
        ("mine-Q5_0", 1, 4),
        ("org/Big-GGUF:Q4_0", 2, 8),
        ("org/Qwen-7B-GGUF:Q4_K_M", 1, 4),
        ("org/Qwen-7B-GGUF:Q8_0", 1, 4),
    ]
    assert hub.installed(models / "nowhere") == []


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("org/Qwen-7B-GGUF", "org/Qwen-7B-GGUF/qwen-7b-Q4_K_M.gguf"),
        ("org/Qwen-7B-GGUF:q8_0", "org/Qwen-7B-GGUF/qwen-7b-Q8_0.gguf"),
        ("qwen-7b:q8_0", "org/Qwen-7B-GGUF/qwen-7b-Q8_0.gguf"),
        ("qwen-7b-Q8_0", "org/Qwen-7B-GGUF/qwen-7b-Q8_0.gguf"),
        ("qwen-7b-Q8_0.gguf", "org/Qwen-7B-GGUF/qwen-7b-Q8_0.gguf"),
        ("big", "org/Big-GGUF/big-Q4_0-00001-of-00002.gguf"),
        ("mine", "mine-Q5_0.gguf"),
    ],
)
def test_a_name_means_a_file(name: str, file: str, models: Path) -> None:
    assert hub.resolve(name, models) == models / file


def test_paths_and_folders(models: Path) -> None:
    assert hub.resolve(str(models / "mine-Q5_0.gguf"), models) == models / "mine-Q5_0.gguf"
    assert hub.resolve(str(models / "org/Big-GGUF"), models).name.endswith("00001-of-00002.gguf")
    with pytest.raises(UserError, match="several"):
        hub.resolve(str(models / "org/Qwen-7B-GGUF"), models)
    with pytest.raises(UserError, match="no model that palaver runs"):
        hub.resolve(str(models / "org"), models)
    (models / "org" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UserError, match="Python pickles alone"):
        hub.resolve(str(models / "org"), models)


def test_errors_name_the_nearest_and_what_to_do(models: Path) -> None:
    def fix(name: str) -> str:
        with pytest.raises(UserError) as caught:
            hub.resolve(name, models)
        return caught.value.fix or ""

    assert "org/Qwen-7B-GGUF" in fix("qwen-8b:q8_0")
    assert "mine-Q5_0" in fix("mime")
    assert "Q4_K_M, Q8_0" in fix("org/Qwen-7B-GGUF:Q2_K")
    assert fix("far/away") == "palaver models pull far/away"
    assert fix("org/Qwen-8B-GGUF").startswith("palaver models pull org/Qwen-8B-GGUF (Near: org/Q")
    assert "path" in fix("./x/nothing.gguf")
    assert "models list" in fix("zzzzzz")
    assert "Name one of them" in fix("qwen-7b")


def test_removing_takes_all_parts_and_empty_folders(models: Path) -> None:
    hub.remove("big", models)
    assert not (models / "org/Big-GGUF").exists()
    hub.remove("org/Qwen-7B-GGUF:q8_0", models)
    assert (models / "org/Qwen-7B-GGUF/qwen-7b-Q4_K_M.gguf").exists()
    with pytest.raises(UserError):
        hub.remove(str(models / "mine-Q5_0.gguf") + "x", models)
    hub.remove("mine", models)
    assert [m.name for m in hub.installed(models)] == ["org/Qwen-7B-GGUF:Q4_K_M"]
