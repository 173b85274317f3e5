"""Tables of the catalogue: sources, detections, identifications, upper limits, estimates, pictures.

A source is a place on the sky; a detection is a source in one observation; an estimate is what one
version of a model says of one detection. The columns of estimates, and of what a source publishes
of them, are made from the outputs that a model's family declares.
"""

from collections.abc import Sequence

from wolter.catalogue.columns import Column, Key, Table

HEALPIX = "healpix_29"
"""Column of the nested HEALPix cell of order 29, by which sources are kept in order."""

_RELEASE = Column("release", "release of the catalogue", "text", ucd="meta.version")
_SOURCE_ID = Column(
    "source_id",
    "identifier of the source",
    "long",
    ucd="meta.id;meta.main",
    indexed=True,
    principal=True,
)
_DETECTION_ID = Column(
    "detection_id",
    "identifier of the detection",
    "long",
    ucd="meta.id;meta.main",
    indexed=True,
    principal=True,
)
_POSITION = (
    Column("ra", "right ascension, ICRS", "double", "deg", "pos.eq.ra;meta.main", True, True),
    Column("dec", "declination, ICRS", "double", "deg", "pos.eq.dec;meta.main", True, True),
    Column(
        "pos_err",
        "radius that holds the true position with 68 %",
        "float",
        "arcsec",
        "stat.error;pos.eq",
        principal=True,
    ),
)
_BAND = (
    Column("band_low", "lower energy of the band", "float", "keV", "em.energy;stat.min"),
    Column("band_high", "upper energy of the band", "float", "keV", "em.energy;stat.max"),
)
_TO_SOURCE = Key(("source_id",), "source", ("source_id",))

_SOURCE = (
    _SOURCE_ID,
    Column("name", "name by the position, WLT JHHMMSS.s+DDMMSS", "text", ucd="meta.id",
           indexed=True, principal=True),
    *_POSITION,
    Column(HEALPIX, "nested HEALPix cell of order 29", "long", ucd="pos.healpix", indexed=True),
    Column("n_detections", "number of detections", "int", ucd="meta.number", principal=True),
    Column("best_detection_id", "detection of most net counts", "long", ucd="meta.id"),
    Column("t_first", "start of the first observation (MJD, UTC)", "double", "d",
           "time.start;obs"),
    Column("t_last", "end of the last observation (MJD, UTC)", "double", "d", "time.end;obs"),
    Column("instrument", "telescope/instrument/filter of the best detection", "text",
           ucd="meta.id;instr", principal=True),
    Column("exposure_s", "exposure of the best detection", "float", "s",
           "time.duration;obs.exposure"),
    Column("counts", "counts in the source region of the best detection", "float", "ct",
           "phot.count;em.X-ray", principal=True),
    Column("net_counts", "counts less the background of the best detection", "float", "ct",
           "phot.count;em.X-ray", principal=True),
)  # fmt: skip

_DETECTION = (
    _DETECTION_ID,
    Column("source_id", "identifier of the source", "long", ucd="meta.id", indexed=True,
           principal=True),
    *_POSITION,
    Column("observation_id", "identifier of the observation in its archive", "text",
           ucd="meta.id;obs", principal=True),
    Column("instrument", "telescope/instrument/filter", "text", ucd="meta.id;instr",
           principal=True),
    Column("t_start", "start of the observation (MJD, UTC)", "double", "d", "time.start;obs"),
    Column("t_stop", "end of the observation (MJD, UTC)", "double", "d", "time.end;obs"),
    Column("exposure_s", "exposure", "float", "s", "time.duration;obs.exposure", principal=True),
    Column("counts", "counts in the source region", "float", "ct", "phot.count;em.X-ray",
           principal=True),
    Column("net_counts", "counts less the background", "float", "ct", "phot.count;em.X-ray"),
    Column("record", "file or record that was read", "text", ucd="meta.file"),
    Column("pos_origin", "what the position is taken from", "text", ucd="meta.note;pos.eq"),
    _RELEASE,
)  # fmt: skip

_IDENTIFICATION = (
    Column("source_id", "identifier of the source", "long", ucd="meta.id", indexed=True,
           principal=True),
    Column("catalogue", "name of the other catalogue", "text", ucd="meta.id;meta.table",
           principal=True),
    Column("identifier", "the source's name there", "text", ucd="meta.id.cross", principal=True),
    Column("separation", "angular separation", "float", "arcsec", "pos.angDistance",
           principal=True),
    _RELEASE,
)  # fmt: skip

_UPPER_LIMIT = (
    Column("source_id", "identifier of the source", "long", ucd="meta.id", indexed=True,
           principal=True),
    Column("observation_id", "observation that does not detect the source", "text",
           ucd="meta.id;obs", principal=True),
    Column("instrument", "telescope/instrument/filter", "text", ucd="meta.id;instr"),
    *_BAND,
    Column("exposure_s", "exposure at the position", "float", "s", "time.duration;obs.exposure"),
    Column("counts", "counts in the region", "float", "ct", "phot.count;em.X-ray"),
    Column("background", "expected background counts in the region", "float", "ct",
           "phot.count;em.X-ray"),
    Column("rate_upper", "count rate that 95 % of draws stay below", "float", "ct/s",
           "phot.count;em.X-ray;stat.max", principal=True),
    _RELEASE,
)  # fmt: skip

_PICTURE = (
    Column("source_id", "identifier of the source", "long", ucd="meta.id", indexed=True,
           principal=True),
    Column("observation_id", "identifier of the observation in its archive", "text",
           ucd="meta.id;obs", principal=True),
    Column("instrument", "telescope/instrument/filter", "text", ucd="meta.id;instr",
           principal=True),
    Column("t_start", "start of the exposure (MJD, UTC)", "double", "d", "time.start;obs"),
    Column("t_stop", "end of the exposure (MJD, UTC)", "double", "d", "time.end;obs"),
    Column("exposure_s", "exposure on the axis of the telescope", "float", "s",
           "time.duration;obs.exposure", principal=True),
    Column("offset", "distance of the source from the middle of what the model saw", "float",
           "arcmin", "pos.angDistance"),
    Column("model_name", "name of the model", "text", ucd="meta.id;meta.modelled",
           principal=True),
    Column("model_version", "version of the model", "text", ucd="meta.version"),
    _RELEASE,
)  # fmt: skip

ESTIMATE = (
    Column("detection_id", "identifier of the detection", "long", ucd="meta.id;meta.main",
           indexed=True, principal=True),
    Column("source_id", "identifier of the source", "long", ucd="meta.id", indexed=True,
           principal=True),
    Column("model_name", "name of the model", "text", ucd="meta.id;meta.modelled",
           principal=True),
    Column("model_version", "version of the model", "text", ucd="meta.version", principal=True),
    _RELEASE,
    Column("usable", "1 if the estimate may be used as it stands, 0 if not", "short",
           ucd="meta.code.qual", principal=True),
    Column("reason", "why it is not usable; empty where it is", "text", ucd="meta.note"),
    Column("flags", "flags of the estimate, separated by spaces", "text", ucd="meta.code"),
)  # fmt: skip
"""First columns of every table of estimates; the model's own follow."""

DETECTION = Table("detection", "One row for each source in each observation.", _DETECTION,
                  ("detection_id",), (_TO_SOURCE,))  # fmt: skip
IDENTIFICATION = Table(
    "identification", "Counterparts of sources in other catalogues.", _IDENTIFICATION,
    ("source_id", "catalogue", "identifier"), (_TO_SOURCE,),
)  # fmt: skip
UPPER_LIMIT = Table(
    "upper_limit", "Upper limits of sources in observations that do not detect them.",
    _UPPER_LIMIT, ("source_id", "observation_id", "band_low", "band_high"), (_TO_SOURCE,),
)  # fmt: skip

PICTURE = Table(
    "picture", "Pictures of sources, one of each observation, as seen and as a model has it.",
    _PICTURE, ("source_id", "observation_id", "instrument", "model_name"), (_TO_SOURCE,),
)  # fmt: skip


def estimates(model: str, about: str, columns: Sequence[Column]) -> Table:
    """Table of the estimates of a model, which has its name.

    Args:
        model: name of the model.
        about: description in one sentence.
        columns: columns of its outputs.
    """
    keys = (_TO_SOURCE, Key(("detection_id",), "detection", ("detection_id",)))
    return Table(model, about, (*ESTIMATE, *columns), ("detection_id", "model_version"), keys)


def source(published: Sequence[Column]) -> Table:
    """Table of sources.

    Args:
        published: columns of the estimates that sources publish, null where these are not usable;
            among them `MODEL_version`, `MODEL_usable`, `MODEL_reason` and `MODEL_detection_id` of
            each model: of its usable estimate of most net counts, or of the one of most net counts
            where none is usable.
    """
    about = "One row for each source, with the best usable estimates of each model."
    return Table("source", about, (*_SOURCE, *published, _RELEASE), ("source_id",))
