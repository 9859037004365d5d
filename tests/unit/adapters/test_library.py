"""Which adapters there are, from a folder: layouts, names, and files that cannot be used."""

import asyncio
import json
from pathlib import Path

import pytest

from acestep_ray.adapters.cache import FileCache
from acestep_ray.adapters.files import StoredFile, files_at
from acestep_ray.adapters.header import BadAdapter, BadFile, parse_header
from acestep_ray.adapters.library import AdapterLibrary, name_of_path
from acestep_ray.artifacts.errors import StorageError
from tests.adapter_files import LAYER, LORA, WIDTH, write_peft, write_weights

LOKR = {
    "lycoris_layers_0_self_attn_q_proj.lokr_w1": (8, 4),
    "lycoris_layers_0_self_attn_q_proj.lokr_w2_a": (4, 2),
    "lycoris_layers_0_self_attn_q_proj.lokr_w2_b": (2, 8),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "adapters").mkdir()
    return tmp_path / "adapters"


@pytest.fixture
def library(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AdapterLibrary:
    monkeypatch.setattr("acestep_ray.adapters.library.FRESH_SECONDS", 0.0)
    return AdapterLibrary(files_at(str(folder), 0), FileCache(tmp_path / "cache", 0))


async def test_the_layouts_of_all_trainers_are_found_under_names_for_people(
    library: AdapterLibrary, folder: Path
) -> None:
    write_peft(folder / "jazz")
    write_peft(folder / "metal" / "final" / "adapter")
    write_peft(folder / "metal" / "checkpoints" / "epoch_9_loss_0.1" / "adapter")
    write_weights(folder / "harp" / "lokr_weights.safetensors", LOKR)
    write_weights(folder / "folk" / "pytorch_lora_weights.safetensors")
    write_weights(folder / "Chœur d'été.safetensors")
    write_weights(folder / "more" / "bass.safetensors")
    write_weights(folder / "more" / "drums.safetensors", LOKR)
    (folder / "notes.txt").write_text("no adapter")
    found = await library.all()
    assert {name: one.kind for name, one in found.items()} == {
        "jazz": "lora",
        "metal": "lora",
        "metal/checkpoints/epoch_9_loss_0.1": "lora",
        "harp": "lokr",
        "folk": "lora",
        "Chœur d'été": "lora",
        "more/bass": "lora",
        "more/drums": "lokr",
    }
    assert {(one.rank, one.width, one.problem) for one in found.values()} == {
        (4, WIDTH, ""),
        (2, WIDTH, ""),
    }


async def test_two_adapters_never_have_one_name(library: AdapterLibrary, folder: Path) -> None:
    write_peft(folder / "jazz")
    write_weights(folder / "jazz.safetensors")
    assert list(await library.all()) == ["jazz", "jazz.safetensors"]


async def test_files_that_cannot_be_used_say_why(library: AdapterLibrary, folder: Path) -> None:
    whole = write_weights(folder / "cut.safetensors")
    whole.write_bytes(whole.read_bytes()[:-1])
    (folder / "text.safetensors").write_text("this is no safetensors file at all")
    (folder / "empty.safetensors").write_bytes(b"")
    write_weights(folder / "model.safetensors", {"layers.0.mlp.weight": (2, 2)})
    write_peft(folder / "loha", peft_type="LOHA")
    write_peft(folder / "zero", lora_alpha=0)
    (write_peft(folder / "config") / "adapter_config.json").write_text("{")
    write_weights(folder / "flat.safetensors", {f"{LAYER}.lora_A.weight": (32,)})
    write_peft(folder / "regex", alpha_pattern={"([a-z]+)+!": 2})
    write_peft(folder / "words", rank_pattern={"to_q": "many"})
    problems = {name: one.problem for name, one in (await library.all()).items()}
    assert problems == {
        "flat": "",  # the model's loader refuses it
        "regex": "cannot be used: regex/adapter_model.safetensors has an adapter_config.json whose "
        "alpha_pattern has '([a-z]+)+!', which is no name of a layer",
        "words": "cannot be used: words/adapter_model.safetensors has an adapter_config.json whose "
        "rank_pattern has no number for to_q",
        "cut": f"cannot be used: cut.safetensors has {whole.stat().st_size:,} of "
        f"{whole.stat().st_size + 1:,} bytes: copy it again",
        "text": "cannot be used: text.safetensors is no safetensors file",
        "empty": "cannot be used: empty.safetensors is no safetensors file",
        "model": "cannot be used: model.safetensors holds no weights of a LoRA or LoKr adapter",
        "loha": "cannot be used: loha/adapter_model.safetensors is of PEFT's type LOHA: LORA and "
        "LOKR can be used",
        "zero": "cannot be used: zero/adapter_model.safetensors has an adapter_config.json whose "
        "lora_alpha is no number above 0",
        "config": "cannot be used: config/adapter_model.safetensors has an adapter_config.json "
        "that is no JSON",
    }
    with pytest.raises(BadAdapter, match=r"^The adapter text cannot be used: text\.safetensors is"):
        await library.local("text")


async def test_what_changes_is_seen(library: AdapterLibrary, folder: Path) -> None:
    assert await library.all() == {}
    file = write_weights(folder / "one.safetensors")
    first = (await library.all())["one"]
    assert (await library.all())["one"] is first, "an unchanged file is not read again"
    write_weights(file, {**LORA, f"{LAYER}.alpha": ()})
    assert (await library.all())["one"].version != first.version
    file.unlink()
    assert await library.all() == {}
    with pytest.raises(BadAdapter, match=r"^The adapter one is no longer there\.$"):
        await library.local("one")


async def test_files_of_a_folder_are_used_where_they_are(
    library: AdapterLibrary, folder: Path
) -> None:
    write_peft(folder / "jazz", use_rslora=True)
    local = await library.local("jazz")
    assert local.weights == folder / "jazz" / "adapter_model.safetensors"
    assert local.config == json.loads((folder / "jazz" / "adapter_config.json").read_text())


async def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "cache", 0)
    library = AdapterLibrary(files_at(str(tmp_path / "away"), 0), cache)
    with pytest.raises(StorageError, match="The folder of adapters cannot be read"):
        await library.all()


@pytest.mark.parametrize(
    "number", [1e999, 10**400, -1, "x", None], ids=lambda number: str(number)[:9]
)
def test_headers_with_impossible_numbers_are_refused(number: object) -> None:
    for shape, end in (([number], 4), ([1], number)):
        tensor = {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}
        text = json.dumps({"a.lora_A.weight": tensor}).encode()
        with pytest.raises(BadFile):
            parse_header(text, 8 + len(text) + 4)


async def test_one_file_that_cannot_be_read_is_a_problem_of_its_own(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acestep_ray.adapters.library.FRESH_SECONDS", 0.0)
    write_weights(folder / "good.safetensors")
    write_weights(folder / "locked.safetensors")
    files = files_at(str(folder), 0)
    read = files.read
    locked = True

    async def partly(file: StoredFile, start: int, end: int) -> bytes:
        if locked and file.path == "locked.safetensors":
            raise StorageError("The adapter's file locked.safetensors cannot be read.")
        return await read(file, start, end)

    monkeypatch.setattr(type(files), "read", lambda _, *arguments: partly(*arguments))
    library = AdapterLibrary(files, FileCache(tmp_path / "cache", 0))
    found = await library.all()
    assert found["good"].problem == ""
    assert found["locked"].problem.startswith("cannot be used now: The adapter's file locked")
    locked = False
    assert (await library.all())["locked"].problem == "", "it is tried again"


async def test_all_who_wait_share_one_failure(
    library: AdapterLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def away(_: object) -> list[StoredFile]:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0.01)
        raise StorageError("The adapters could not be listed.")

    monkeypatch.setattr(type(library._files), "list", away)
    found = await asyncio.gather(*(library.all() for _ in range(20)), return_exceptions=True)
    assert {type(one) for one in found} == {StorageError}
    assert looks == 1


async def test_what_was_known_is_used_while_nothing_can_be_listed(
    library: AdapterLibrary, folder: Path
) -> None:
    write_peft(folder / "jazz")
    known = await library.all()
    folder.rename(folder.with_name("away"))
    assert await library.all() == known


async def test_links_to_other_folders_are_followed(
    library: AdapterLibrary, folder: Path, tmp_path: Path
) -> None:
    write_peft(tmp_path / "elsewhere" / "jazz")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "nothing.safetensors").symlink_to(tmp_path / "away.safetensors")
    (folder / "itself.safetensors").symlink_to(folder / "itself.safetensors")
    for name in ("back", "again"):
        (tmp_path / "elsewhere" / name).symlink_to(folder)
    assert list(await library.all()) == ["linked/jazz"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("jazz", "jazz"),
        ("/data/adapters/jazz", "jazz"),
        ("./lora_output/jazz/final/adapter", "jazz"),
        ("C:\\songs\\jazz\\final\\adapter\\", "jazz"),
        ("/other/machine/jazz/adapter_model.safetensors", "jazz"),
        ("/other/machine/more/bass.safetensors", "more/bass"),
        ("bass", ""),
        ("", ""),
        ("/", ""),
    ],
)
def test_a_path_of_a_client_means_the_adapter_at_its_end(path: str, name: str) -> None:
    assert name_of_path(path, "/data/adapters", ["jazz", "more/bass"]) == name
