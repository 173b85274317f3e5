#!/usr/bin/env python
"""Make the table of docs/results.md: `ray job submit jobs/publish_tables.py`.

200,000 spectra of the NGC 7793 response, three families that are trained on them, and their report;
about an hour on two cores.
"""

from _published import Recipe, Step, command, how, standard

EPOCHS = {"mlp": 14, "cnn": 14, "deepspectra": 24}


def table(family: str) -> Recipe:
    """A family of the table of point estimates."""
    step = Step(standard(), how(family, epochs=EPOCHS[family]))
    return Recipe(f"table-{family}", family, (step,))


if __name__ == "__main__":
    for name in EPOCHS:
        table(name).make()
    words = ("--data", standard().folder, "--version", "champion", "--json", "standard.json")
    command("evaluate", "deepspectra", "cnn", "mlp", *words)
