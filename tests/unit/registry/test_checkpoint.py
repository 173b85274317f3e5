"""What a checkpoint tells of its data: names of files, never the folders that they lie in."""

import json

from tests.synthetic import SPEC

from wolter import config as configs
from wolter.data.shards import Manifest, Shard
from wolter.images.pairs import Cutting
from wolter.registry.checkpoint import provenance
from wolter.spectra.simulator import SimulateConfig


def manifest(config):
    return Manifest("spectra", SPEC, config, 5, "", (Shard("a", 3, ""), Shard("b", 4, "")))


def test_a_card_names_files_without_their_folders():
    config = SimulateConfig(
        rmf="/data/me/secret/PN.rmf",
        arf="../elsewhere/PN.arf",
        backgrounds=("/data/me/b1.fits", "data/b2.fits"),
        model="powerlaw",
    )
    told = provenance(manifest(configs.to_dict(config)))
    assert (told["rows"], told["seed"]) == (7, 5)
    assert "/" not in json.dumps(told["config"])
    assert told["config"]["rmf"] == "PN.rmf"
    assert told["config"]["arf"] == "PN.arf"
    assert list(told["config"]["backgrounds"]) == ["b1.fits", "b2.fits"]
    assert not {"prior", "energy_edges"} & told["config"].keys()


def test_files_of_nested_settings_are_named_likewise():
    nested = {"maps": {"thin": "/data/me/a.fits", "more": [{"file": "/x/b.fits"}]}, "n": 3}
    told = provenance(manifest(nested))["config"]
    assert told == {"maps": {"thin": "a.fits", "more": [{"file": "b.fits"}]}, "n": 3}
    assert "/" not in json.dumps(provenance(manifest(configs.to_dict(Cutting())))["config"])
