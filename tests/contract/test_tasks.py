"""What every task must do: its options are written once, files are answered, models evaluated."""

import dataclasses
import inspect
import json
import re

import pytest
import torch
import tyro
from astropy import units
from tests.synthetic import make_dataset, make_image_dataset
from torch import nn

from wolter import task as tasks
from wolter.commands import evaluate, predict
from wolter.data.batches import count_rows
from wolter.data.record_kinds import record_kind
from wolter.errors import InputError
from wolter.family import Family
from wolter.outputs import Metric, Output
from wolter.registry.checkpoint import Card, Model, load_model
from wolter.report.write import write

OUTS = {"images/enhance": "out.fits", "spectra/embedding": "out.csv", "spectra/parameters": "t.csv"}


class Embedder(nn.Module):
    """Two latents and the probability of a class, from the logarithms of counts."""

    def __init__(self, _config, spec):
        super().__init__()
        self.layer = nn.Linear(spec.n_channels, 3)


@dataclasses.dataclass(frozen=True)
class NoConfig:
    """No option."""


def _predict(module, batch):
    values_B3 = module.layer(batch.counts_BC.log1p())
    return {"latent": values_B3[:, :2], "p_star": values_B3[:, 2].sigmoid()}


EMBEDDER = Family(
    name="embedder",
    task="spectra/embedding",
    config=NoConfig,
    build=Embedder,
    normalise=lambda _module, _batch: None,
    loss=lambda module, batch: (_predict(module, batch)["latent"].square().mean(), {}),
    predict=_predict,
    outputs=lambda _config, _spec: (
        Output("latent", "position among the training spectra", "keV", axes="L"),
        Output("p_star", "probability of a star"),
    ),
    measure=lambda module, batch: {"size": _predict(module, batch)["latent"].square().mean()},
    metrics=(Metric("size", "lower", "mean squared latent", headline=True),),
    search_space={},
)


def embedder(spec) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Model(EMBEDDER, Card("embedder", {}, spec), Embedder(None, spec).eval())


@pytest.fixture(params=tasks.names())
def task(request):
    return tasks.load(request.param)


@pytest.fixture
def model(task, untrained, enhancer):
    """A small model of the task."""
    if task.name == "images/enhance":
        return load_model(enhancer(2))
    parameters = load_model(untrained("mlp"))
    return embedder(parameters.card.spec) if task.name == "spectra/embedding" else parameters


@pytest.fixture
def file(task, pha, picture_file):
    """A record of the task's kind."""
    return {"spectra": pha, "images": picture_file}[task.kind.name]


def answer(task, model, files, out, **options):
    inputs, how = task.Inputs(), task.Options(**options)
    task.check_outputs(files, out, inputs, how)
    return task.predict(model, "7", files, out, inputs, how, lambda _n: None)


def test_names_are_kinds_and_what_is_done(task):
    assert re.fullmatch(r"[a-z]+/[a-z]+", task.name)
    assert task.kind is record_kind(task.name.partition("/")[0])
    assert tasks.load(task.name) is task
    with pytest.raises(InputError, match=f"unknown task 'none'; choose one of: .*{task.name}"):
        tasks.load("none")


@pytest.mark.parametrize("kind", ["Inputs", "Options", "EvaluateOptions"])
def test_options_are_frozen_documented_and_have_defaults(task, kind):
    options = getattr(task, kind)
    assert options.__dataclass_params__.frozen
    options()
    told = "".join(inspect.getdoc(base) or "" for base in options.__mro__)
    for field in dataclasses.fields(options):
        assert re.search(rf"^ *{field.name}: \w", told, re.M), f"{kind}.{field.name}"


def test_no_option_stands_twice(task):
    names = [
        field.name for kind in (task.Inputs, task.Options) for field in dataclasses.fields(kind)
    ]
    names += [field.name for field in dataclasses.fields(predict.Predict)]
    assert len(set(names)) == len(names)
    assert not {f.name for f in dataclasses.fields(task.EvaluateOptions)} & {
        f.name for f in dataclasses.fields(evaluate.Evaluate)
    }


def test_commands_have_the_options_of_the_task(task, monkeypatch, capsys):
    family = dataclasses.replace(EMBEDDER, task=task.name)
    for module in (predict, evaluate):
        monkeypatch.setattr(module, "named_family", lambda _arguments: family)
    for module, kinds in ((predict, ("Inputs", "Options")), (evaluate, ("EvaluateOptions",))):
        with pytest.raises(SystemExit):
            tyro.cli(module.command([]), args=["--help"])
        told = capsys.readouterr().out
        for kind in kinds:
            for field in dataclasses.fields(getattr(task, kind)):
                assert f"--{field.name.replace('_', '-')}" in told
    assert (inspect.getdoc(type(task)) or "").splitlines()[0]


def test_pictures_have_layers_that_say_what_they_are(task, model):
    picturing = task.picturing()
    if picturing is None:
        return
    assert picturing.problem(model, model.card.spec) == ""
    layers = picturing.layers(model)
    assert layers[0].counts
    assert len({layer.name for layer in layers}) == len(layers)
    for layer in layers:
        assert re.fullmatch("[a-z0-9_]+", layer.name)
        assert layer.about
        assert layer.scale >= 1
        units.Unit(layer.unit)


def test_a_file_is_answered_and_written(task, model, file, tmp_path):
    out = tmp_path / "deep" / OUTS[task.name]
    lines = answer(task, model, [file], out)
    assert out.stat().st_size
    assert any(str(out) in line for line in lines)


def test_outputs_are_checked_before_any_work(task, model, file, tmp_path):
    for out, words in ((tmp_path / "out.doc", "out.doc"), (file, "is .*, which would be lost|use")):
        with pytest.raises(InputError, match=words):
            task.check_outputs([file], out, task.Inputs(), task.Options())


def test_a_file_that_is_none_is_one_line(task, model, tmp_path):
    out = tmp_path / OUTS[task.name]
    with pytest.raises(InputError, match=r"nowhere\.x: no such file"):
        answer(task, model, [tmp_path / "nowhere.x"], out)
    assert not out.exists()


def test_models_answer_plain_records_and_broken_ones_say_so(task, model):
    assert task.problem(model) == ""
    with torch.no_grad():
        for weights in model.module.parameters():
            weights.fill_(torch.nan)
    assert re.search("no finite|fails on a plain record", task.problem(model))


def test_vectors_and_units_of_any_family_stand_in_the_table(pha, untrained, tmp_path):
    from astropy.table import Table

    spec = load_model(untrained("mlp")).card.spec
    out = tmp_path / "t.vot"
    answer(tasks.load("spectra/embedding"), embedder(spec), [pha], out)
    table = Table.read(out)
    assert table.colnames == [
        *("file", "model_name", "model_version", "latent_0", "latent_1", "p_star"),
        *("counts", "exposure_s", "flag"),
    ]
    assert str(table["latent_1"].unit) == "keV"
    assert table["latent_1"].description == "position among the training spectra"
    assert (table["model_name"][0], table["model_version"][0]) == ("embedder", "7")
    assert 0 < table["p_star"][0] < 1


@pytest.fixture
def evaluated(task, tmp_path):
    """A report of a model of the task on a small dataset."""
    from tests.synthetic import IMAGES, SPEC, make_batch, make_images

    from wolter import config as configs
    from wolter import family as families
    from wolter.train.loop import build

    if task.name == "images/enhance":
        dataset, family = make_image_dataset(tmp_path / "d", 4), families.load("superres")
        spec, batch, config = IMAGES, make_images(8), family.config(blocks=1, filters=8, growth=8)
    else:
        dataset, family = make_dataset(tmp_path / "d", 40), families.load("mlp")
        spec, batch, config = SPEC, make_batch(64), family.config()
    if task.name == "spectra/embedding":
        model = embedder(spec)
    else:
        module = build(family, config, spec, seed=0)
        family.normalise(module, batch)
        model = Model(family, Card(family.name, configs.to_dict(config), spec), module.eval())
    options = {"fields": 0} if task.name == "images/enhance" else {}
    how = task.EvaluateOptions(**options)
    return task.evaluate([model, model], ["1", "2"], dataset, "all", 30, how)


def test_evaluations_are_reports(evaluated, tmp_path):
    report = evaluated
    assert len(report.labels) == 2
    assert report.labels[0].endswith(" 1")
    assert report.labels[0] in report.title
    assert all({line.label for line in each.lines} & {*report.labels} for each in report.tables[:1])
    values = report.to_json()
    json.dumps(values, allow_nan=False)
    assert (values["model_version"], values["compared"][0]["model_version"]) == ("1", "2")
    flat = report.flat_metrics(1)
    assert flat
    assert all(name.startswith("all/") for name in flat)
    assert torch.tensor(list(flat.values())).isfinite().all()
    folder = write(report, tmp_path / "report", run={"MLflow run": "<abc>"})
    page = (folder / "report.html").read_text()
    assert "&lt;abc&gt;" in page
    assert all(label in page for label in report.labels)
    assert "<td>" in page


def test_a_split_without_records_is_told(task, model, tmp_path):
    make = {"spectra": make_dataset, "images": make_image_dataset}[task.kind.name]
    dataset = make(tmp_path / "d", 1, n_shards=1)
    model = replaced_spec(model, dataset.spec)
    empty = next(split for split in ("test", "validation") if not count_rows(dataset, split))
    with pytest.raises(InputError, match=f"no rows in split '{empty}'"):
        task.evaluate([model], ["1"], dataset, empty, None, task.EvaluateOptions())


def replaced_spec(model, spec) -> Model:
    """A model that says that it was trained on records of a spec."""
    return dataclasses.replace(model, card=dataclasses.replace(model.card, spec=spec))
