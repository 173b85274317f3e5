"""Parameters of spectra over HTTP, with exact posteriors where they are asked for or needed."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from wolter.answering.batches import Join, Values
from wolter.answering.contract import DearError, Reply, Request, Served
from wolter.answering.tables import Predictions
from wolter.answering.tables import joined as together
from wolter.errors import InputError
from wolter.family import Family
from wolter.registry.checkpoint import Model
from wolter.spectra.answers import answers, check_components, refined_answer, whole
from wolter.spectra.columns import estimates_parameters
from wolter.spectra.flags import estimate_flags
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.http_schemas import Answer, ParametersQuery
from wolter.spectra.model_check import ModelCheck, check_model
from wolter.spectra.predict import estimate
from wolter.spectra.records import Records
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.spectra.serving import ServedSpectra, SpectraServing
from wolter.spectra.simulator import REFERENCE_PRIOR
from wolter.threads import one_core_each

ANSWER_S = 15.0  # left to write the answer of spectra that are refined unasked


class ServedParameters(ServedSpectra):
    """A model that answers with parameters of spectra."""

    def __init__(self, model: Model, version: str = "", join: Join | None = None) -> None:
        super().__init__(model, version, join)
        self._checkers = one_core_each(1)  # its operations are too small to share

    async def answer(self, request: Request) -> Reply:
        """Parameters of one or many spectra as JSON.

        Raises:
            InputError: a file or value is bad; `TooLargeError` beyond the limits.
            UnavailableError: readers are lost.
        """
        if request.query.refine:
            return await self._refined(request)
        components, limits = request.query.components, request.limits
        records, beyond = await self._records(request)
        if not any(output.name == "samples" for output in self.outputs):  # none can be refined
            beyond = {}
        if beyond and not (request.dear or request.spare):
            raise DearError
        parts: list[bytes] = []
        tables: list[Predictions] = []
        for start in range(0, len(records), self.at_once):
            piece = records[start : start + self.at_once]
            values = await self.estimate(piece.batch)
            if components:
                check_components(values, len(records), limits.max_values)
            exact: dict[int, ModelCheck] = {}
            if beyond and "samples" in values and not request.spare:  # posteriors can be refined
                left_s = min(request.left_s() - ANSWER_S, limits.refine_s)
                exact = await self.refine_within(beyond, left_s)
            if request.tabular:
                tables.append(await request.alone(self._table, piece, values, exact))
            else:
                parts.append(await request.alone(answers, self, piece, values, components, exact))
        if request.tabular:
            return Reply(b"", table=together(tables))
        return Reply(whole(self, parts))

    async def _refined(self, request: Request) -> Reply:
        if request.body is not None:
            raise InputError("refine: counts come without a response; send PHA files")
        gridded = await self.reader(request).gridded(request)
        checked = [await self.check_model(each, refined=True) for each in gridded]
        if request.tabular:
            found = [
                self._checked(Records.of([each.record]), c)
                for each, c in zip(gridded, checked, strict=True)
            ]
            return Reply(b"", table=together(found))
        return Reply(await request.alone(refined_answer, self, gridded, checked))

    async def _records(self, request: Request) -> tuple[Records, dict[int, GriddedObservation]]:
        """Spectra, and by index those that the model was not trained for."""
        trained = self.model.card.trained
        if request.body is not None or trained is None:
            return await self.records(request), {}
        records, beyond = await self.reader(request).beyond(request, trained)
        return Records.of(records), beyond

    async def check_model(self, gridded: GriddedObservation, refined: bool) -> ModelCheck:
        """Check the answer against its spectrum, one at a time (`wolter.spectra.model_check`).

        Raises:
            InputError: there is none; the response or the counts make no sense.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._checkers, self._check_model, gridded, refined)

    async def refine_within(
        self, gridded: Mapping[int, GriddedObservation], seconds: float
    ) -> dict[int, ModelCheck]:
        """Exact posteriors by index, in their order, of as many spectra as the time suffices for.

        Raises:
            InputError: see `check_model`.
        """
        found: dict[int, ModelCheck] = {}
        if seconds <= 0:
            return found
        try:
            async with asyncio.timeout(seconds):
                for i, each in gridded.items():
                    found[i] = await self.check_model(each, refined=True)
        except TimeoutError:
            logging.getLogger(__name__).info(
                "%d of %d spectra refined in %g s", len(found), len(gridded), seconds
            )
        return found

    def _check_model(self, gridded: GriddedObservation, refined: bool) -> ModelCheck:
        try:
            return check_model(self.model, gridded, refined)
        except InputError:
            raise
        except (ValueError, RuntimeError, ArithmeticError) as error:
            name = gridded.record.name
            # The model answers plain spectra, or it would not be asked.
            logging.getLogger(__name__).exception("%s cannot be checked", name)
            raise InputError(
                f"{name}: no likelihood of it ({type(error).__name__}); check its response"
            ) from error

    def _table(
        self, records: Records, values: Values, exact: Mapping[int, ModelCheck]
    ) -> Predictions:
        told = records.remarks(estimate_flags(self.model.card, records.batch, values))
        table = self.predictions(records, values, told)
        if not exact:
            return table
        singly = [
            self._checked(one, exact[i])
            if i in exact
            else self.predictions(one, {n: v[i : i + 1] for n, v in values.items()}, [told[i]])
            for i, one in ((i, records[i : i + 1]) for i in range(len(records)))
        ]
        return together(singly)

    def _checked(self, one: Records, found: ModelCheck) -> Predictions:
        return self.predictions(one, found.values, one.remarks([found.flags]))

    def _predict(self, batch: SpectraBatch) -> Values:
        return estimate(self.model, batch)


class ParametersServing(SpectraServing):
    """HTTP answers of models that estimate parameters of spectra."""

    about = "Parameters of one or many spectra, sent as PHA files or as counts."
    Query: ClassVar[type[BaseModel]] = ParametersQuery
    dear = "some"

    def is_dear(self, query: Any) -> bool:
        """True if exact posteriors are asked for."""
        return bool(query.refine)

    def load(self, model: Model, version: str = "", join: Join | None = None) -> Served:
        """A model that answers; one that estimates no parameters tells what it declares."""
        kind = ServedParameters if estimates_parameters(model) else ServedSpectra
        return kind(model, version, join)

    def documented(self, served: Sequence[Served]) -> Mapping[str, Any]:  # noqa: ARG002
        """The answers in the words of OpenAPI."""
        return {"model": Answer, "description": "Parameters of the spectra, in their order"}

    def default(self, families: Sequence[Family]) -> Family:
        """The one that gives posteriors, else component spectra, else the first."""
        return max(families, key=_wealth)


def _wealth(family: Family) -> tuple[bool, bool]:
    """Capabilities of a family: posterior samples, component spectra."""
    plain = SpectraSpec((1.0, 2.0), REFERENCE_PRIOR, ("powerlaw",))
    axes = "".join(output.axes for output in family.outputs(family.config(), plain))
    return "S" in axes, "K" in axes
