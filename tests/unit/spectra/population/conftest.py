"""Simulators of populations that need no optional package."""

import pytest

from wolter.spectra.population.config import PopulationConfig
from wolter.spectra.population.simulator import PopulationSimulator
from wolter.spectra.schema import SpectraBatch


@pytest.fixture(scope="session")
def config() -> PopulationConfig:
    return PopulationConfig(mix="equal", thermal="bremsstrahlung")


@pytest.fixture(scope="session")
def simulator(config) -> PopulationSimulator:
    return PopulationSimulator(config)


@pytest.fixture(scope="session")
def batch(simulator) -> SpectraBatch:
    return simulator.draw(3, 0)
