"""Training on short paths alone: test errors by how random blocks are run at test time (paper, section 5)."""

from unravel.studies.base import Cost, Figure, Measurement, Study

COLUMNS = ("network", "seed", "convention", "image", "label", "predicted")

STUDY = Study(
    order=120,
    key="predictions",
    title="Training on short paths alone",
    measurement=Measurement(
        tables={"": COLUMNS},
        networks=lambda config: list(config.networks),
        decides=lambda config, _: {"evaluation": config.evaluation.model_dump(mode="json")},
        message="Predict the test images' classes with {network}, seed {seed}",
        cost=Cost(
            lambda config, size: size.forward * (3 * size.test + size.train if size.random_blocks else size.test)
        ),
        random_key=10,
    ),
    figure=Figure(
        number="errors",
        label="Extra figure C",
        title="Test errors",
        slug="test-errors",
        note="The paper gives the two numbers of its section 5 in its text, without a figure.",
        shows=lambda config: list(config.networks) if config.whole else None,
        inputs=("predictions",),
        original=False,
    ),
)
