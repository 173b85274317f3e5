"""HTTP predictions of spectra by any family: JSON from the declared outputs."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from wolter.answering.batches import Join, Joined, Values
from wolter.answering.contract import JSON, FileField, Reply, Request, Served, Serving
from wolter.answering.from_outputs import check_size, records_json, schema, whole_json
from wolter.answering.tables import Predictions, narrow
from wolter.answering.tables import joined as together
from wolter.registry.checkpoint import Model
from wolter.spectra.counts_request import records_of_counts
from wolter.spectra.flags import record_flags
from wolter.spectra.http_schemas import Counts, ParameterInfo, SpectraInfo, SpectraQuery
from wolter.spectra.predict import predict_batch
from wolter.spectra.records import Records
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.spectra.upload_requests import SpectrumReader
from wolter.xray.instruments.instrument import load

LISTED = "spectra"  # key of the answers
WORDS = {
    r"\bgive (background|rmf|arf) FILE( or none)?": r"send it in the field \1",
    r"\bpass the RMF and ARF of this spectrum": (
        "send its RMF and ARF in the fields rmf and arf, and ask for response=files"
    ),
    r"\bpass the RMF of this spectrum": "send its RMF in the field rmf",
    r"\bpass its ARF": "send its ARF in the field arf",
    r'\bpass "none" as ARF': "send no ARF, with ANCRFILE NONE",
}


class ServedSpectra(Served):
    """Served model of spectra: all declared outputs, with units in OpenAPI."""

    def __init__(self, model: Model, version: str = "", join: Join | None = None) -> None:
        super().__init__(model, version)
        self.estimate = Joined(self._predict, join)
        self.at_once = self.estimate.records  # of a request; others come between

    @property
    def spec(self) -> SpectraSpec:
        """The spectra that the model reads."""
        spec: SpectraSpec = self.model.card.spec
        return spec

    async def answer(self, request: Request) -> Reply:
        """Predictions of one or many spectra as JSON.

        Raises:
            InputError: a file or value is bad; `TooLargeError` beyond the limits.
            UnavailableError: readers are lost.
        """
        parts, tables, records = [], [], await self.records(request)
        for start in range(0, len(records), self.at_once):
            piece = records[start : start + self.at_once]
            values = await self.estimate(piece.batch)
            if request.tabular:
                flags = await request.alone(self._flags, piece, values)
                tables.append(self.predictions(piece, values, flags))
                continue
            check_size(self.outputs, values, len(records), request.limits.max_values)
            parts.append(await request.alone(self._part, piece, values))
        if request.tabular:
            return Reply(b"", table=together(tables))
        return Reply(whole_json(self.name, self.version, LISTED, parts))

    def predictions(
        self, records: Records, values: Values, flags: Sequence[Sequence[str]]
    ) -> Predictions:
        """Predictions of spectra as columns."""
        names, outputs = list(records.names), narrow(self.outputs, values)
        kept = {output.name: values[output.name] for output in outputs}
        return Predictions(self.name, self.version, outputs, names, flags, kept)

    async def records(self, request: Request) -> Records:
        """The spectra of a request, sent as counts or as files."""
        if request.body is not None:
            most = request.limits.max_records
            return await request.alone(records_of_counts, request.body, self.spec, most)
        return Records.of(await self.reader(request).records(request))

    def reader(self, request: Request) -> SpectrumReader:
        """Reader of the files of a request.

        Raises:
            InputError: the instrument is unknown.
        """
        query = request.query
        return SpectrumReader(
            self.spec,
            response=query.response,
            instrument=load(query.instrument).name,
            use_background=not query.no_background,
        )

    def _predict(self, batch: SpectraBatch) -> Values:
        return predict_batch(self.model, batch)

    def _part(self, records: Records, values: Values) -> bytes:
        told = self._flags(records, values)
        return records_json(self.outputs, values, list(records.names), told)

    def _flags(self, records: Records, values: Values) -> list[list[str]]:
        return records.remarks(record_flags(self.model.card, records.batch, values))

    def info(self, default: bool) -> SpectraInfo:
        """Description of the model."""
        spec = self.spec
        return SpectraInfo(
            **self.told(default),
            parameters=[
                ParameterInfo(name=p.name, unit=p.unit, low=p.low, high=p.high)
                for p in spec.parameters
            ],
            components=list(spec.components),
            energy_edges=list(spec.energy_edges),
            instrument=spec.instrument,
            exposure_s=None if spec.exposure_s is None else list(spec.exposure_s),
        )


class SpectraServing(Serving):
    """HTTP answers of models of spectra."""

    about = "Predictions of one or many spectra, sent as PHA files or as counts."
    fields = (
        FileField("pha", "spectra (OGIP PHA type I)", many=True),
        FileField("rmf", "one for all, or as RESPFILE names them", many=True),
        FileField("arf", "one for all, or as ANCRFILE names them", many=True),
        FileField("background", "one for all, or as BACKFILE names them", many=True),
    )
    Query: ClassVar[type[BaseModel]] = SpectraQuery
    Body = Counts
    arrays = (
        "counts (spectra, channels), exposure_s (spectra, or 1), energy_edges (channels + 1), "
        "background (spectra, channels), background_scale (spectra, or 1)"
    )
    Info = SpectraInfo
    words = WORDS

    def load(self, model: Model, version: str = "", join: Join | None = None) -> Served:
        """Load a model for requests."""
        return ServedSpectra(model, version, join)

    def documented(self, served: Sequence[Served]) -> Mapping[str, Any]:
        """OpenAPI description of the answers of models."""
        schemas = [schema(each.name, each.outputs, LISTED) for each in served]
        told = {"anyOf": schemas} if schemas else {"type": "object"}  # none could be loaded
        return {"description": self.about, "content": {JSON: {"schema": told}}}
