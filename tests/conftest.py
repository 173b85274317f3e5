"""Fixtures shared by all tests."""

import functools
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# No test is judged by the time that it takes on a busy machine.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

ROOT = Path(__file__).parents[1]

if os.environ.get("PYTEST_XDIST_WORKER"):  # a core each, before torch counts them
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if os.environ.get("WOLTER_SHAPES"):  # before anything of the package is imported
    import tests.shapes  # noqa: F401  # the hook finds the checker by its name
    from jaxtyping import install_import_hook

    # Ray cannot pickle what is checked, so that its tests run without.
    install_import_hook(["wolter.xray", "wolter.models"], "tests.shapes.checked")


# Of tests/distributed, with Rays of their own: one after another, beside those that share one.
OWN_RAYS = ("test_jobs.py", "test_other_family.py", "test_terminal.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests of a file share fixtures, and those with a real Ray share one: each in one process."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if "/distributed/" not in file:
                return file
            return "own Rays" if file.endswith(OWN_RAYS) else "one Ray"

    return ByFile(config, log)


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of real files; tests that ask for it are skipped, visibly, where it is missing."""
    folder = Path(os.environ.get("WOLTER_REFERENCE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"reference data not found at {folder}; set WOLTER_REFERENCE_DATA")
    return folder.resolve()


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Small tensors are fastest on one thread, and threads that wait for a busy core are slow."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Checkpoint folder of a family's small model with random weights, by the family's name."""
    import torch

    from wolter import config as configs
    from wolter import family as families
    from wolter.registry.checkpoint import Card, save_model
    from wolter.spectra.grid import default_grid
    from wolter.spectra.schema import SpectraBatch, SpectraSpec
    from wolter.spectra.simulator import REFERENCE_PRIOR, SimulateConfig
    from wolter.spectra.training_ranges import TrainingRanges
    from wolter.train.loop import build

    spec = SpectraSpec(
        energy_edges=default_grid(),
        parameters=REFERENCE_PRIOR,
        components=("powerlaw", "gaussian", "bbody"),
        instrument="XMM/EPN/Medium",
        exposure_s=(20_000.0, 30_000.0),
        model=SimulateConfig.model,
        fixed={"sigma": 0.1},
    )
    folder = tmp_path_factory.mktemp("untrained")

    @functools.cache
    def save(name: str) -> Path:
        family = families.load(name)
        module = build(family, family.config(), spec, seed=0)
        generator = torch.Generator().manual_seed(0)
        rate_B1 = torch.logspace(-1, 2, 64)[:, None].expand(-1, spec.n_channels)
        components_BKC = torch.stack([rate_B1 / 3] * 3, 1)
        batch = SpectraBatch(
            counts_BC=torch.poisson(rate_B1, generator),
            background_BC=torch.poisson(rate_B1 / 10, generator),
            background_scale_B=torch.full((64,), 0.3),
            exposure_B=torch.linspace(20e3, 30e3, 64),
            parameters_BP=torch.rand(64, len(spec.names), generator=generator),
            expected_BKC=components_BKC,
        )
        family.normalise(module, batch)
        if family.settle is not None:
            with torch.no_grad():
                family.settle(module.eval(), iter([batch]))
        trained = TrainingRanges(net_counts=(1.0, 1e9), background_scale=(0.0, 1e3))
        card = Card(name, configs.to_dict(family.config()), spec, trained=trained)
        save_model(folder / name, card, module)
        return folder / name

    return save


@pytest.fixture(scope="session")
def enhancer(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Checkpoint folder of a small superres model with random weights, by its scale."""
    from dataclasses import replace

    from tests.synthetic import IMAGES, make_images

    from wolter import config as configs
    from wolter import family as families
    from wolter.registry.checkpoint import Card, save_model
    from wolter.train.loop import build

    folder = tmp_path_factory.mktemp("enhancers")
    family = families.load("superres")

    @functools.cache
    def save(scale: int) -> Path:
        spec = replace(IMAGES, scale=scale, exposure_s=(5e3, 1e5))
        config = family.config(blocks=1, filters=8, growth=8)
        module = build(family, config, spec, seed=0)
        family.normalise(module, make_images(8, spec=spec))
        save_model(folder / str(scale), Card("superres", configs.to_dict(config), spec), module)
        return folder / str(scale)

    return save


@pytest.fixture
def picture_file(tmp_path: Path) -> Path:
    """A 61 x 50 image of photons at 4 arcsec on the sky, 20 ks."""
    import numpy as np
    from astropy.io import fits

    photons = np.random.default_rng(0).poisson(0.4, (61, 50)).astype(np.int32)
    photons[30, 20] = 40
    cards = {
        "EXPOSURE": 2e4, "OBJECT": "a field", "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN",
        "CRPIX1": 25.5, "CRPIX2": 31.0, "CRVAL1": 30.0, "CRVAL2": -20.0, "CDELT1": -4 / 3600,
        "CDELT2": 4 / 3600, "CUNIT1": "deg", "CUNIT2": "deg",
    }  # fmt: skip
    fits.writeto(tmp_path / "field.fits", photons, fits.Header(cards))
    return tmp_path / "field.fits"


@pytest.fixture
def pha(tmp_path: Path) -> Path:
    """A spectrum named source.pha, with the background.pha and pn.rsp that it names beside it."""
    import torch

    from wolter.xray.spectral.observation import Spectrum, write_spectrum
    from wolter.xray.spectral.response import Response
    from wolter.xray.spectral.writing import write_response

    generator = torch.Generator().manual_seed(0)
    edges_E1 = torch.linspace(0.1, 12, 51, dtype=torch.float64)
    matrix_EC = torch.rand(50, 300, generator=generator)
    words = {"telescope": "XMM", "instrument": "EPN", "filter": "Medium"}
    edges_C1 = torch.linspace(0.05, 12.05, 301, dtype=torch.float64)
    write_response(tmp_path / "pn.rsp", Response(edges_E1, matrix_EC, edges_C1, 0, **words))
    counts_C = torch.poisson(torch.linspace(60, 1, 300, dtype=torch.float64), generator)
    region_C = torch.poisson(torch.full((300,), 3.0, dtype=torch.float64), generator)
    region = Spectrum(region_C, 25_000.0, backscale=4.0, **words)
    write_spectrum(tmp_path / "background.pha", region, "background")
    named = {"respfile": "pn.rsp", "backfile": "background.pha"}
    write_spectrum(
        tmp_path / "source.pha", Spectrum(counts_C, 25_000.0, backscale=1.0, **words, **named)
    )
    return tmp_path / "source.pha"


@pytest.fixture
def full_disk() -> Iterator[Path]:
    """A file system of 256 kB in memory, where this process may mount one."""
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]
        if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("may not mount a file system")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)
