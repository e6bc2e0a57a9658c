"""Measuring: one study of one trained network becomes tables whose rows say which network and seed they are of."""

import importlib

from unravel.data.batches import random_generator
from unravel.engine.sweeps import Facts, Images, Tables
from unravel.networks import Network
from unravel.studies.base import Study, StudySettings


def measured(
    study: Study, settings: StudySettings | None, network: Network, images: Images, name: str, seed: int
) -> tuple[Tables, Facts]:
    """What the study's `measure` gives for a network, its random draws those of the study and the seed.

    Raises InputError as that does.
    """
    generator = random_generator(seed, 0, study.random_key)
    tables, facts = importlib.import_module(study.module("measure")).measure(network, images, settings, generator)
    for table in tables.values():
        table.insert(0, "network", name)
        table.insert(1, "seed", seed)
    return tables, facts
