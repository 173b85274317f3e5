"""ObsCore 1.1: detections as observations, in the IVOA's own words."""

from wolter.catalogue.adql.names import Named
from wolter.catalogue.columns import Column, Table

_CHAR, _KEV_M = "Char.SpatialAxis.Coverage", 1.239841984e-9  # h c, keV m

# name, datatype, unit, UCD, utype after obscore:, expression over detection, description
_COLUMNS = (
    ("dataproduct_type", "text", "", "meta.code.class", "ObsDataset.dataProductType",
     "'spectrum'", "logical type of the data"),
    ("calib_level", "int", "", "meta.code;obs.calib", "ObsDataset.calibLevel", "2",
     "calibration level, 0 to 4"),
    ("obs_collection", "text", "", "meta.id", "DataID.collection",
     "'wolter ' || d.release", "name of the collection"),
    ("obs_id", "text", "", "meta.id", "DataID.observationID", "d.observation_id",
     "identifier of the observation"),
    ("obs_publisher_did", "text", "", "meta.ref.ivoid", "Curation.publisherDID",
     "{publisher} || '?' || CAST(d.detection_id AS TEXT)", "identifier of the dataset"),
    ("access_url", "text", "", "meta.ref.url", "Access.reference",
     "{base} || '/links?ID=' || CAST(d.source_id AS TEXT)", "where links to the data are"),
    ("access_format", "text", "", "meta.code.mime", "Access.format",
     "'application/x-votable+xml;content=datalink'", "media type of the links"),
    ("access_estsize", "long", "kbyte", "phys.size;meta.file", "Access.size", "16",
     "estimated size"),
    ("target_name", "text", "", "meta.id;src", "Target.name", "s.name", "name of the source"),
    ("s_ra", "double", "deg", "pos.eq.ra", f"{_CHAR}.Location.Coord.Position2D.Value2.C1",
     "d.ra", "right ascension, ICRS"),
    ("s_dec", "double", "deg", "pos.eq.dec", f"{_CHAR}.Location.Coord.Position2D.Value2.C2",
     "d.dec", "declination, ICRS"),
    ("s_fov", "double", "deg", "phys.angSize;instr.fov", f"{_CHAR}.Bounds.Extent.diameter",
     "2 * d.pos_err / 3600", "diameter of the region"),
    ("s_region", "text", "", "pos.outline;obs.field", f"{_CHAR}.Support.Area",
     "'CIRCLE ICRS ' || d.ra || ' ' || d.dec || ' ' || d.pos_err / 3600",
     "region of the sky, in STC-S"),
    ("s_resolution", "double", "arcsec", "pos.angResolution",
     "Char.SpatialAxis.Resolution.Refval.value", "CAST(NULL AS DOUBLE)", "spatial resolution"),
    ("s_xel1", "long", "", "meta.number", "Char.SpatialAxis.numBins1", "1",
     "elements along the first spatial axis"),
    ("s_xel2", "long", "", "meta.number", "Char.SpatialAxis.numBins2", "1",
     "elements along the second spatial axis"),
    ("t_min", "double", "d", "time.start;obs.exposure",
     "Char.TimeAxis.Coverage.Bounds.Limits.StartTime", "d.t_start", "start, MJD"),
    ("t_max", "double", "d", "time.end;obs.exposure",
     "Char.TimeAxis.Coverage.Bounds.Limits.StopTime", "d.t_stop", "end, MJD"),
    ("t_exptime", "double", "s", "time.duration;obs.exposure",
     "Char.TimeAxis.Coverage.Support.Extent", "d.exposure_s", "exposure"),
    ("t_resolution", "double", "s", "time.resolution", "Char.TimeAxis.Resolution.Refval.value",
     "CAST(NULL AS DOUBLE)", "temporal resolution"),
    ("t_xel", "long", "", "meta.number", "Char.TimeAxis.numBins", "1",
     "elements along the time axis"),
    ("em_min", "double", "m", "em.wl;stat.min",
     "Char.SpectralAxis.Coverage.Bounds.Limits.LoLimit", f"{_KEV_M} / 12",
     "shortest wavelength, of 12 keV"),
    ("em_max", "double", "m", "em.wl;stat.max",
     "Char.SpectralAxis.Coverage.Bounds.Limits.HiLimit", f"{_KEV_M} / 0.1",
     "longest wavelength, of 0.1 keV"),
    ("em_res_power", "double", "", "spect.resolution",
     "Char.SpectralAxis.Resolution.ResolPower.refVal", "CAST(NULL AS DOUBLE)",
     "spectral resolving power"),
    ("em_xel", "long", "", "meta.number", "Char.SpectralAxis.numBins", "CAST(NULL AS BIGINT)",
     "elements along the spectral axis"),
    ("o_ucd", "text", "", "meta.ucd", "Char.ObservableAxis.ucd", "'phot.count;em.X-ray'",
     "UCD of what is observed"),
    ("pol_states", "text", "", "meta.code;phys.polarization",
     "Char.PolarizationAxis.stateList", "CAST(NULL AS TEXT)", "polarisation states"),
    ("pol_xel", "long", "", "meta.number", "Char.PolarizationAxis.numBins", "0",
     "number of polarisation states"),
    ("facility_name", "text", "", "meta.id;instr.tel", "Provenance.ObsConfig.Facility.name",
     "split_part(d.instrument, '/', 1)", "telescope"),
    ("instrument_name", "text", "", "meta.id;instr", "Provenance.ObsConfig.Instrument.name",
     "d.instrument", "telescope/instrument/filter"),
)  # fmt: skip

OBSCORE = Named(
    "ivoa",
    Table(
        "obscore",
        "ObsCore 1.1: one row for each detection, with links to its spectrum.",
        tuple(
            Column(
                name,
                about,
                kind,  # type: ignore[arg-type]
                unit,
                ucd,
                principal=True,
                utype=f"obscore:{utype}",
                xtype="adql:REGION" if name == "s_region" else "",
            )
            for name, kind, unit, ucd, utype, _, about in _COLUMNS
        ),
        ("obs_publisher_did",),
    ),
)
_SQL = {"text": "TEXT", "int": "INTEGER", "long": "BIGINT", "double": "DOUBLE"}


def view(base_url: str, publisher: str) -> str:
    """SELECT of the rows, over the tables of a release.

    Args:
        base_url: of the service, beside which `/links` is.
        publisher: IVOID of the service.
    """
    base, own = _quoted(base_url.removesuffix("/tap")), _quoted(publisher)
    items = ", ".join(
        f'CAST({value.format(base=base, publisher=own)} AS {_SQL[kind]}) AS "{name}"'
        for name, kind, _, _, _, value, _ in _COLUMNS
    )
    return f"SELECT {items} FROM wolter.detection d LEFT JOIN wolter.source s USING (source_id)"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
